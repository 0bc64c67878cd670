import pytest
from openai._models import construct_type
from openai.types.shared import ErrorObject

from sidecar.dialects.openai import encode_error
from sidecar.dialects.openai.errors import TYPE_AND_CODE
from sidecar.errors import STATUS_OF_KIND, GatewayError, invalid_request
from tests.support.openai_schema import validate_as


@pytest.mark.parametrize("kind", STATUS_OF_KIND)
def test_every_error_is_one_that_openai_knows(kind: str) -> None:
    status, body = encode_error(GatewayError(kind, "why", param="messages"))
    validate_as("ErrorResponse", body)
    error = construct_type(type_=ErrorObject, value=body["error"])
    assert isinstance(error, ErrorObject)
    assert (error.message, error.param) == ("why", "messages")
    assert status == (503 if kind == "overloaded_error" else STATUS_OF_KIND[kind])


def test_the_table_covers_every_kind() -> None:
    assert TYPE_AND_CODE.keys() == STATUS_OF_KIND.keys()


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (GatewayError("authentication_error", "no key"), 401, "invalid_api_key"),
        (GatewayError("billing_error", "no money"), 402, "insufficient_quota"),
        (GatewayError("permission_error", "no"), 403, "permission_denied"),
        (GatewayError("not_found_error", "model: claude-nope"), 404, "model_not_found"),
        (GatewayError("not_found_error", "no such file"), 404, None),
        (GatewayError("request_too_large", "big"), 413, "request_too_large"),
        (GatewayError("rate_limit_error", "slow down"), 429, "rate_limit_exceeded"),
        (GatewayError("api_error", "broken", status=502), 502, None),
        (GatewayError("timeout_error", "slow"), 504, "timeout"),
        (GatewayError("overloaded_error", "Overloaded"), 503, "overloaded"),
        (GatewayError("overloaded_error", "Overloaded", status=503), 503, "overloaded"),
        (invalid_request("prompt is too long: 208310 tokens > 200000 maximum"), 400, "context_length_exceeded"),
        (
            invalid_request("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
            400,
            "context_length_exceeded",
        ),
        (
            invalid_request("Your credit balance is too low to access the Anthropic API."),
            400,
            "insufficient_quota",
        ),
        (invalid_request("messages: at least one message is required"), 400, None),
        (invalid_request("prompt is too long", code="not_honoured"), 400, "not_honoured"),
    ],
)
def test_errors_carry_the_status_and_the_code_that_editors_act_on(
    error: GatewayError, status: int, code: str | None
) -> None:
    sent, body = encode_error(error)
    assert (sent, body["error"]["code"]) == (status, code)
