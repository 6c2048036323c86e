"""Describes this package to Airflow.

Airflow calls :func:`get_provider_info` in every process that lists providers: each ``airflow`` command and
the API server. An exception here would end all of them, so this module imports nothing. Since Airflow 3.3
the connection form comes only from ``ui-field-behaviour`` and ``conn-fields``.
"""

_INTEGRATION = "LinkedIn Sales Navigator"


def get_provider_info() -> dict[str, object]:
    """Return the description in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-provider-snav",
        "name": _INTEGRATION,
        "description": (
            "Exports activity, seat and outcome reports, CRM validation data and profile associations "
            "from LinkedIn Sales Navigator, and lands them as verified files in any object store."
        ),
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://learn.microsoft.com/en-us/linkedin/sales/",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_snav.operators.sales_navigator"],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_snav.sensors.sales_navigator"],
            }
        ],
        "hooks": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_snav.hooks.sales_navigator"],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_provider_snav.triggers.sales_navigator"],
            }
        ],
        "transfers": [
            {
                "source-integration-name": _INTEGRATION,
                "target-integration-name": "Common IO",
                "python-module": "airflow_provider_snav.transfers.sales_navigator_to_object_storage",
            }
        ],
        # Only Airflow 3.2 and later read it. Every `airflow` command imports this module.
        "cli": ["airflow_provider_snav.cli.airflow_commands.get_commands"],
        "connection-types": [
            {
                "connection-type": "snav",
                "hook-class-name": "airflow_provider_snav.hooks.sales_navigator.SalesNavigatorHook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": [],
                    "relabeling": {
                        "host": "API base URL",
                        "login": "OAuth client id",
                        "password": "Member access token",
                    },
                    "placeholders": {
                        "host": "https://api.linkedin.com/v2",
                        "login": "Client ID of your LinkedIn application",
                        "password": "For contracts and analytics exports (3-legged OAuth)",
                        "port": "443, unless the API base URL names another",
                        "schema": "https; used only if the API base URL has no scheme",
                    },
                },
                "conn-fields": {
                    "client_secret": {
                        "label": "OAuth client secret",
                        "description": (
                            "Secret of the LinkedIn application named by the client id. With it the provider "
                            "mints the application tokens that CRM validation and profile associations need, "
                            "and refreshes the member token."
                        ),
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "refresh_token": {
                        "label": "Member refresh token",
                        "description": (
                            "Replaces the member access token when it expires (after 60 days). "
                            "Needs the client id and secret. Leave empty if LinkedIn issued none."
                        ),
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "expires_at": {
                        "label": "Member access token expires at",
                        "description": (
                            "When the member access token expires, as text such as 2026-12-31T08:00:00Z or "
                            "in epoch seconds. Tasks log a warning in the last 14 days. With the client id "
                            "and secret LinkedIn states the expiry."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                    "token_url": {
                        "label": "OAuth token URL",
                        "description": (
                            "The address that mints and refreshes tokens. "
                            "Empty means https://www.linkedin.com/oauth/v2/accessToken."
                        ),
                        "schema": {"type": ["string", "null"], "format": "url"},
                    },
                    "download_hosts": {
                        "label": "Further download hosts",
                        "description": (
                            "Exact hosts (host or host:port, one a line) that may receive the token when a "
                            "file is downloaded. The API base and the https hosts of linkedin.com and "
                            "licdn.com are always allowed. Leave empty unless your own gateway has the files."
                        ),
                        "schema": {"type": ["array", "null"], "items": {"type": "string"}},
                    },
                    "headers": {
                        "label": "Further headers",
                        "description": (
                            'A JSON object of names and values, such as {"LinkedIn-Version": "202609"}, sent '
                            "to the host and port of the API base only, for gateways. Never Authorization."
                        ),
                        "schema": {
                            "type": ["object", "null"],
                            "additionalProperties": {"type": "string"},
                        },
                    },
                    "http_timeout": {
                        "label": "HTTP timeout (seconds)",
                        "description": (
                            "The longest wait of one request for the connection or for the next bytes; 30 if "
                            "empty. It does not limit an export; the operator's timeout does."
                        ),
                        "schema": {
                            "type": ["number", "null"],
                            "exclusiveMinimum": 0,
                            "exclusiveMaximum": 3600,
                        },
                    },
                    "tls_verify": {
                        "label": "TLS verification",
                        "description": (
                            "Empty or true: verify certificates with the usual authorities. The path of a "
                            "PEM file on the workers: verify with this file, for a proxy that inspects TLS. "
                            "false: verify nothing. This exposes the token; never use it in production."
                        ),
                        "schema": {"type": ["string", "null"]},
                    },
                },
            }
        ],
    }
