import asyncio
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.admission import Admission
from sidecar.errors import GatewayError
from sidecar.projects.directory import Directory
from sidecar.projects.project import Project, StoredProject, fingerprint

KEY = "cgw-secret"
KEYS = {"alpha": "cgw-key-of-alpha", "beta": "cgw-key-of-beta"}
RawHeaders = list[tuple[bytes, bytes]]


def headers(**values: str) -> RawHeaders:
    return [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in values.items()]


async def admitted(
    shown: RawHeaders, path: str | None = None, *, several: bool = True, broken: bool = False
) -> Project:
    def read() -> Iterable[StoredProject]:
        if broken:
            raise OSError("no database")
        return [StoredProject(Project(name=name), fingerprint(key)) for name, key in KEYS.items()]

    directory = Directory(read, several=several)
    await directory.refresh()
    return await Admission(KEY, directory, key_file="/home/me/key").admit(shown, path)


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    "shown",
    [
        headers(authorization=f"Bearer {KEY}"),
        headers(authorization=f"bearer {KEY}"),
        headers(x_api_key=KEY),
        headers(api_key=KEY),
        headers(authorization="", x_api_key=KEY),
        headers(authorization="Bearer ", x_api_key=KEY),
        headers(authorization="Bearer something-else", x_api_key=KEY),
    ],
)
async def test_the_key_opens_wherever_clients_put_it(shown: RawHeaders, several: bool) -> None:
    assert (await admitted(shown, several=several)).name == "default"


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize(
    ("shown", "complaint"),
    [
        ([], "no API key"),
        (headers(authorization=""), "no API key"),
        (headers(authorization=KEY), "no API key"),
        (headers(authorization="Basic abc"), "no API key"),
        (headers(x_api_key=" "), "no API key"),
        (headers(x_api_key="wrong"), "not the gateway's"),
        (headers(authorization="Bearer schl\xfcssel"), "not the gateway's"),
    ],
)
async def test_anything_else_is_refused_with_where_to_find_the_key(
    shown: RawHeaders, complaint: str, several: bool
) -> None:
    with pytest.raises(GatewayError, match=complaint) as refusal:
        await admitted(shown, several=several)
    assert refusal.value.status == 401
    assert "/home/me/key" in refusal.value.message
    assert KEY not in refusal.value.message


@given(
    st.lists(st.tuples(st.sampled_from([b"authorization", b"x-api-key", b"api-key"]), st.binary(max_size=40))),
    st.booleans(),
)
def test_no_header_that_lacks_a_key_ever_opens(shown: RawHeaders, several: bool) -> None:
    if any(key.encode() in value for _, value in shown for key in (KEY, *KEYS.values())):
        return
    with pytest.raises(GatewayError):
        asyncio.run(admitted(shown, several=several))


@pytest.mark.parametrize(
    ("shown", "path", "name"),
    [
        (headers(x_api_key=KEYS["alpha"]), None, "alpha"),
        (headers(x_api_key=KEYS["alpha"]), "alpha", "alpha"),
        (headers(x_api_key=KEYS["alpha"], x_project="alpha"), None, "alpha"),
        (headers(authorization=f"Bearer {KEY}", x_api_key=KEYS["alpha"]), None, "alpha"),
        (headers(x_api_key=KEY), "beta", "beta"),
        (headers(x_api_key=KEY, x_project=" beta "), None, "beta"),
        (headers(x_api_key=KEY, x_project="beta"), "beta", "beta"),
        (headers(x_api_key=KEY, x_project=""), None, "default"),
        (headers(x_api_key=KEY, x_project="default"), "default", "default"),
    ],
)
async def test_a_project_is_chosen_by_its_key_or_named_by_the_owner(
    shown: RawHeaders, path: str | None, name: str
) -> None:
    assert (await admitted(shown, path)).name == name


@pytest.mark.parametrize(
    ("shown", "path", "status", "code"),
    [
        (headers(x_api_key=KEYS["alpha"], x_project="beta"), None, 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"]), "beta", 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"]), "default", 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"]), "nobody", 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"], x_project="alpha"), "beta", 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"], authorization=f"Bearer {KEY}"), "beta", 403, "wrong_project"),
        (headers(x_api_key=KEYS["alpha"], api_key=KEYS["beta"]), None, 403, "wrong_project"),
        (headers(x_api_key=KEY), "nobody", 404, "unknown_project"),
        (headers(x_api_key=KEY, x_project="alpha, beta"), None, 404, "unknown_project"),
        (headers(x_api_key=KEY, x_project="alpha"), "beta", 400, "ambiguous_project"),
        ([*headers(x_api_key=KEY, x_project="alpha"), (b"X-Project", b"beta")], None, 400, "ambiguous_project"),
    ],
)
async def test_any_other_name_is_refused(shown: RawHeaders, path: str | None, status: int, code: str) -> None:
    with pytest.raises(GatewayError) as refusal:
        await admitted(shown, path)
    assert (refusal.value.status, refusal.value.code) == (status, code)


NAMES = st.sampled_from(["alpha", "beta", "default", "nobody", "ALPHA", ""])
HEADERS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([b"x-api-key", b"api-key"]), st.sampled_from([*KEYS.values(), "x"]).map(str.encode)),
        st.tuples(
            st.just(b"authorization"), st.sampled_from(list(KEYS.values())).map(lambda key: f"Bearer {key}".encode())
        ),
        st.tuples(st.sampled_from([b"x-project", b"X-Project"]), NAMES.map(str.encode)),
    ),
    max_size=6,
)


@given(HEADERS, st.none() | NAMES)
def test_no_mix_of_keys_headers_and_paths_lets_one_project_act_as_another(shown: RawHeaders, path: str | None) -> None:
    held = {name for name, key in KEYS.items() if any(key.encode() in value for _, value in shown)}
    try:
        project = asyncio.run(admitted(shown, path))
    except GatewayError:
        return
    assert project.name in held
    asked = {value.decode() for name, value in shown if name.lower() == b"x-project"} | {path or ""}
    assert asked <= {project.name, ""}


@pytest.mark.parametrize("shown", [headers(x_api_key=KEY, x_project="alpha"), headers(x_api_key=KEY)])
async def test_without_the_switch_everything_is_default(shown: RawHeaders) -> None:
    assert (await admitted(shown, several=False)).name == "default"
    assert (await admitted(shown, "default", several=False)).name == "default"


async def test_without_the_switch_a_base_path_of_a_project_says_what_is_off() -> None:
    with pytest.raises(GatewayError, match="ENABLE_MULTI_PROJECT=1") as refusal:
        await admitted(headers(x_api_key=KEY), "alpha", several=False)
    assert refusal.value.status == 404


async def test_without_the_switch_a_projects_key_says_what_is_off() -> None:
    with pytest.raises(GatewayError, match="ENABLE_MULTI_PROJECT=1") as refusal:
        await admitted(headers(x_api_key=KEYS["alpha"]), several=False)
    assert refusal.value.status == 401


@pytest.mark.parametrize("key", [KEY, KEYS["alpha"], "wrong"])
async def test_nobody_passes_while_projects_were_never_read(key: str) -> None:
    with pytest.raises(GatewayError, match="could not be read") as refusal:
        await admitted(headers(x_api_key=key), broken=True)
    assert refusal.value.status == 503


async def test_a_single_user_goes_on_without_the_database() -> None:
    assert (await admitted(headers(x_api_key=KEY), several=False, broken=True)).name == "default"
