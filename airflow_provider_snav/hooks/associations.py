"""Many profile associations: batches of legal size, a few of them in flight, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from airflow_provider_snav.api.associations import AssociationResult, ProfileAssociationKey, batches
from airflow_provider_snav.api.calls import batch_get_profile_associations
from airflow_provider_snav.api.messages import Call

BATCHES_IN_FLIGHT = 4


def associate(
    run: Callable[[Call[list[AssociationResult]]], list[AssociationResult]],
    keys: Iterable[Mapping[str, Any] | ProfileAssociationKey],
) -> Iterator[AssociationResult]:
    """One result a key, in their order. Memory is bounded whatever the number of keys.

    :param run: performs one call; used by several threads at once.
    :param keys: read as the results are taken. One given twice in a batch is asked for once.
    """

    def ask(batch: Sequence[ProfileAssociationKey]) -> list[AssociationResult]:
        results = run(batch_get_profile_associations(list(dict.fromkeys(batch))))
        found = {result.key: result for result in results}
        return [found[key] for key in batch]

    pool = ThreadPoolExecutor(BATCHES_IN_FLIGHT, thread_name_prefix="snav-associations")
    try:
        waiting: deque[Future[list[AssociationResult]]] = deque()
        for batch in batches(map(ProfileAssociationKey.parse, keys)):
            waiting.append(pool.submit(ask, batch))
            if len(waiting) == BATCHES_IN_FLIGHT:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        # Without waiting: a task that Airflow interrupts has yet to end the connections of these threads.
        pool.shutdown(wait=False, cancel_futures=True)
