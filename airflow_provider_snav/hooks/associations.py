"""Gets many profile associations: legal batches, a few requests at a time, results in order."""

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
    """Yield one result for each key, in the order of the keys, in constant memory.

    :param run: performs one call. Several threads use it at the same time.
    :param keys: read while the results are taken. A batch asks for a repeated key only once.
    :raises SalesNavigatorError: a call failed, or a key is wrong.
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
        # Do not wait here: a task that Airflow interrupts ends the connections of these threads afterwards.
        pool.shutdown(wait=False, cancel_futures=True)
