"""Each fault of a request carries a code and, where there is a bound, a limit: programs need not read English."""

from typing import Any, get_args

import pytest
from api_helpers import bearer, body, check_problem, create, encoded, manage
from support.appliance import Appliance, MakeAppliance

from seclink.errors import FaultCode

pytestmark = pytest.mark.anyio
LIFETIME = {"min": 60, "max": 7200}
CONFIG = '[expiry]\ndefault = "1h"\nmax = "2h"\n[limits]\npayload_bytes = 1024\n'

# (members sent, field, code, limit) of what a create and an update both refuse.
SHARED: list[tuple[dict[str, Any], str, str, dict[str, int] | None]] = [
    ({"expiresIn": 59}, "expiresIn", "out_of_range", LIFETIME),
    ({"expiresIn": 7201}, "expiresIn", "out_of_range", LIFETIME),
    ({"expiresIn": 10**40}, "expiresIn", "out_of_range", LIFETIME),
    ({"expiresIn": "60"}, "expiresIn", "wrong_type", None),
    ({"expiresIn": True}, "expiresIn", "wrong_type", None),
    ({"maxViews": 0}, "maxViews", "out_of_range", {"min": 1, "max": 1000}),
    ({"maxViews": 1001}, "maxViews", "out_of_range", {"min": 1, "max": 1000}),
    ({"maxViews": 1.5}, "maxViews", "wrong_type", None),
    ({"label": "x" * 201}, "label", "too_long", {"max": 200}),
    ({"publicNote": "x" * 301}, "publicNote", "too_long", {"max": 300}),
    ({"publicNote": "\x00"}, "publicNote", "control_characters", None),
    ({"passcodeHash": "abc"}, "passcodeHash", "not_sha256", None),
    ({"encryptedBlob": "#", "iv": "aaaa"}, "encryptedBlob", "not_base64", None),
    ({"encryptedBlob": "aaaa", "iv": "a==="}, "iv", "not_base64", None),
    ({"encryptedBlob": "", "iv": "aaaa"}, "encryptedBlob", "too_short", {"min": 1, "max": 1024}),
    ({"encryptedBlob": encoded(b"x" * 1025), "iv": "aaaa"}, "encryptedBlob", "too_long", {"min": 1, "max": 1024}),
    ({"encryptedBlob": "aaaa", "iv": ""}, "iv", "too_short", {"min": 1, "max": 64}),
    ({"encryptedBlob": "aaaa", "iv": encoded(b"x" * 65)}, "iv", "too_long", {"min": 1, "max": 64}),
    ({"password": "x"}, "password", "unknown", None),
    ({"label": ["x"]}, "label", "wrong_type", None),
]
CREATE_ONLY: list[tuple[dict[str, Any], str, str, dict[str, int] | None]] = [
    ({"expiryType": None}, "expiryType", "required", None),
    ({"expiryType": "1year"}, "expiryType", "not_one_of", None),
    ({"expiryType": "24hours"}, "expiryType", "out_of_range", {"max": 7200}),
    ({"encryptedBlob": None}, "encryptedBlob", "wrong_type", None),
    ({"accessHash": "g" * 64}, "accessHash", "not_sha256", None),
    ({"format": "zip"}, "format", "not_one_of", None),
]


def only_fault(problem: dict[str, Any]) -> tuple[str, str, dict[str, int] | None]:
    (fault,) = problem["errors"]
    assert fault["message"]
    assert ("limit" in fault) == (fault.get("limit") is not None)
    return fault["field"], fault["code"], fault.get("limit")


@pytest.mark.parametrize(("members", "field", "code", "limit"), SHARED + CREATE_ONLY)
async def test_fault_of_a_create_has_a_code(
    make_appliance: MakeAppliance, members: dict[str, Any], field: str, code: str, limit: dict[str, int] | None
) -> None:
    http = (await make_appliance(CONFIG)).http
    problem = check_problem(await http.post("/secrets", json=body(**members)), 400, "bad_request")
    assert only_fault(problem) == (field, code, limit)


async def test_missing_member_of_a_create_has_a_code(appliance: Appliance) -> None:
    for field in ("encryptedBlob", "iv"):
        members = {name: value for name, value in body().items() if name != field}
        problem = check_problem(await appliance.http.post("/secrets", json=members), 400, "bad_request")
        assert only_fault(problem) == (field, "required", None)


async def test_every_fault_of_a_create_is_listed(appliance: Appliance) -> None:
    members = body(maxViews=0, expiresIn=1, label="\x00", publicNote="x" * 301, passcodeHash="x")
    problem = check_problem(await appliance.http.post("/secrets", json=members), 400, "bad_request")
    assert [(fault["field"], fault["code"]) for fault in problem["errors"]] == [
        ("expiresIn", "out_of_range"),
        ("maxViews", "out_of_range"),
        ("passcodeHash", "not_sha256"),
        ("publicNote", "too_long"),
        ("label", "control_characters"),
    ]


@pytest.mark.parametrize(
    ("members", "field", "code", "limit"),
    [*SHARED, ({"iv": "aaaa"}, "iv", "required_together", None)],
)
async def test_fault_of_an_update_has_a_code(
    make_appliance: MakeAppliance, members: dict[str, Any], field: str, code: str, limit: dict[str, int] | None
) -> None:
    http = (await make_appliance(CONFIG)).http
    secret = await create(http)
    response = await http.patch(f"/receipts/{secret['receiptId']}", json=members, headers=manage(secret))
    assert only_fault(check_problem(response, 400, "bad_request")) == (field, code, limit)


async def test_views_below_those_spent_name_the_lowest_allowed(appliance: Appliance) -> None:
    secret = await create(appliance.http, maxViews=5)
    for _ in range(2):
        assert (await appliance.http.post(f"/secrets/{secret['linkId']}/reveal")).status_code == 200
    response = await appliance.http.patch(
        f"/receipts/{secret['receiptId']}", json={"maxViews": 2}, headers=manage(secret)
    )
    problem = check_problem(response, 400, "bad_request")
    assert only_fault(problem) == ("maxViews", "out_of_range", {"min": 3})


@pytest.mark.parametrize(
    ("query", "field", "code", "limit"),
    [
        ("limit=101", "limit", "out_of_range", {"min": 1, "max": 100}),
        ("page=0", "page", "out_of_range", {"min": 1, "max": 1_000_000}),
        ("status=lost", "status", "not_one_of", None),
        (f"search={'x' * 201}", "search", "too_long", {"max": 200}),
    ],
)
async def test_fault_of_a_query_has_a_code(
    appliance: Appliance, query: str, field: str, code: str, limit: dict[str, int] | None
) -> None:
    key = await appliance.key()
    response = await appliance.http.get(f"/receipts?{query}", headers=bearer(key))
    assert only_fault(check_problem(response, 400, "bad_request")) == (field, code, limit)


async def test_openapi_document_describes_faults(appliance: Appliance) -> None:
    document = (await appliance.http.get("/openapi.json")).json()
    fault = document["components"]["schemas"]["Problem"]["properties"]["errors"]["items"]
    assert fault["required"] == ["field", "message", "code"]
    assert fault["properties"].keys() == {"field", "message", "code", "limit"}
    assert all(code in fault["properties"]["code"]["description"] for code in get_args(FaultCode))
    assert fault["properties"]["limit"]["properties"].keys() == {"min", "max"}
