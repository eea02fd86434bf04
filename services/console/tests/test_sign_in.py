"""Who is let in, what a forged request can do, and what browsers are told to refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tiermesh_console import sessions

PAGES = ("/ask", "/receipts", "/receipts/r-logged", "/thresholds", "/routing", "/cost", "/quality", "/quality/compare")


@pytest.mark.parametrize("path", PAGES)
async def test_who_is_not_signed_in_is_asked_to_and_comes_back_to_the_page(world: Any, path: str) -> None:
    browser = await world.browser()
    response, _ = await browser.get(path, allow_redirects=False)
    assert response.status == 303
    assert response.headers["Location"] == f"/sign-in?back={path}"
    assert world.insights.calls == []

    await browser.get(response.headers["Location"])
    response, _ = await browser.post("/sign-in", {"token": "operator-token", "back": path}, allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (303, path)


async def test_a_token_that_the_gateway_refuses_signs_nobody_in(world: Any) -> None:
    browser = await world.browser()
    await browser.get("/sign-in")
    response, text = await browser.post("/sign-in", {"token": "forged"})
    assert response.status == 401
    assert "The token does not verify." in text
    response, _ = await browser.get("/ask", allow_redirects=False)
    assert response.status == 303


@pytest.mark.parametrize("back", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
async def test_signing_in_sends_nobody_elsewhere(world: Any, back: str) -> None:
    browser = await world.browser()
    await browser.get("/sign-in")
    response, _ = await browser.post("/sign-in", {"token": "operator-token", "back": back}, allow_redirects=False)
    assert response.headers["Location"] == "/"


async def test_the_cookie_holds_no_readable_token_and_scripts_cannot_reach_it(start_world: Any) -> None:
    world = await start_world(secure_cookies=True)
    browser = await world.browser()
    response, _ = await browser.get("/sign-in")
    cookie = response.headers["Set-Cookie"]
    assert cookie.startswith("__Host-tiermesh=")
    for attribute in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"):
        assert attribute in cookie
    plain = await (await start_world()).browser("operator-token")
    assert "operator-token" not in str(list(plain.session.cookie_jar))


async def test_a_forged_or_altered_cookie_is_no_sign_in(world: Any) -> None:
    browser = await world.browser("operator-token")
    (cookie,) = browser.session.cookie_jar
    altered = cookie.value[:-4] + ("AAAA" if not cookie.value.endswith("AAAA") else "BBBB")
    stranger = await world.browser()
    for value in (altered, "nonsense", ""):
        response, _ = await stranger.get("/ask", allow_redirects=False, cookies={"tiermesh": value})
        assert response.status == 303


async def test_signing_out_forgets_the_token_and_what_the_browser_kept(world: Any) -> None:
    browser = await world.browser("operator-token")
    response, _ = await browser.post("/sign-out", allow_redirects=False)
    assert response.headers["Clear-Site-Data"] == '"storage"'
    response, _ = await browser.get("/thresholds", allow_redirects=False)
    assert response.status == 303


async def test_a_signing_in_proxy_may_bring_the_token_as_a_header(world: Any) -> None:
    browser = await world.browser()
    response, text = await browser.get("/thresholds", headers={"Authorization": "Bearer operator-token"})
    assert response.status == 200
    assert "E00010" in text


async def test_a_token_that_no_cookie_can_hold_is_refused_with_the_mend(world: Any, monkeypatch: Any) -> None:
    browser = await world.browser()
    await browser.get("/sign-in")
    monkeypatch.setattr(sessions, "LONGEST_COOKIE", 100)
    response, text = await browser.post("/sign-in", {"token": "operator-token"})
    assert response.status == 400
    assert "signing-in proxy" in text


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/thresholds/propose", {"wanted": "0.7"}),
        ("/thresholds/apply", {"proposal_id": "p1"}),
        ("/thresholds/undo", {"version": "v2"}),
        ("/quality/compare", {"preference": "first", "comparison_id": "x"}),
        ("/sign-in", {"token": "operator-token"}),
        ("/sign-out", {}),
    ],
)
async def test_a_forged_form_changes_nothing(world: Any, path: str, fields: dict[str, str]) -> None:
    browser = await world.browser("operator-token")
    for change in ({"csrf": "0" * 64}, {"csrf": ""}, {"csrf": "é"}):
        response, _ = await browser.post(path, {**fields, **change}, allow_redirects=False)
        assert response.status == 403
    for foreign in ({"Origin": "https://evil.example"}, {"Origin": "http://["}):
        response, _ = await browser.post(path, fields, headers=foreign, allow_redirects=False)
        assert response.status == 403
    response, _ = await browser.post(path, fields, headers={"Sec-Fetch-Site": "cross-site"}, allow_redirects=False)
    assert response.status == 403
    assert world.insights.calls == []


async def test_a_forged_script_asks_confirms_and_rates_nothing(world: Any) -> None:
    browser = await world.browser("employee-token")
    browser.csrf = "0" * 64
    for path, values in (
        ("/ask/stream", {"text": "hi"}),
        ("/ask/confirm", {"token": "t"}),
        ("/ask/feedback", {"request_id": "r", "verdict": "good"}),
    ):
        response, lines = await browser.script(path, values)
        assert response.status == 403
        assert "error" in lines[0]
    assert (world.gateway.asked, world.gateway.confirmed, world.gateway.feedback) == ([], [], [])


async def test_the_token_of_one_sign_in_is_worth_nothing_in_another(world: Any) -> None:
    one, other = await world.browser("operator-token"), await world.browser("operator-token")
    response, _ = await other.post("/thresholds/propose", {"csrf": one.csrf}, allow_redirects=False)
    assert response.status == 403


@pytest.mark.parametrize("path", ["/sign-in", "/ask", "/nowhere", "/static/app.css", "/healthz"])
async def test_every_response_tells_browsers_what_to_refuse(world: Any, path: str) -> None:
    browser = await world.browser("operator-token")
    response, _ = await browser.get(path)
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Cache-Control"] == "no-store"
    assert "Server" not in response.headers


async def test_static_files_are_kept_for_good_under_the_address_that_pages_use(world: Any) -> None:
    browser = await world.browser("operator-token")
    _, text = await browser.get("/ask")
    address = text.split('rel="stylesheet" href="')[1].split('"')[0]
    response, _ = await browser.get(address)
    assert "immutable" in response.headers["Cache-Control"]


async def test_no_page_carries_inline_script_or_style(world: Any) -> None:
    browser = await world.browser("operator-token")
    for path in PAGES:
        _, text = await browser.get(path)
        assert "<style" not in text
        assert " style=" not in text
        assert " onclick=" not in text
        inline = [each for each in text.split("<script")[1:] if 'src="' not in each.split(">")[0]]
        assert all('type="application/json"' in each.split(">")[0] for each in inline)


async def test_a_token_is_in_no_address(world: Any) -> None:
    browser = await world.browser("operator-token")
    for path in PAGES:
        response, text = await browser.get(path)
        assert "operator-token" not in text
        assert "operator-token" not in str(response.url)


async def test_the_development_page_signs_in_as_anybody_of_its_file_and_is_absent_without(
    start_world: Any, tmp_path: Path
) -> None:
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "sign-in.pem").write_bytes(pem)
    person = {"key": "operator", "name": "Théo", "tenant": "acme", "subject": "E00010", "roles": ["router_admin"]}
    (tmp_path / "people.json").write_text(json.dumps({"issuer": "dev", "key_id": "k", "people": [person]}))
    world = await start_world(development_people=tmp_path / "people.json", development_key=tmp_path / "sign-in.pem")
    browser = await world.browser()
    _, text = await browser.get("/sign-in")
    assert "Théo" in text
    assert "Development sign-in is on" in text
    # The fake gateway knows no such token: what it was shown is what counts here.
    seen: list[str] = []
    world.gateway._who = lambda context: (
        seen.append(dict(context.invocation_metadata())["authorization"])
        or (
            "acme",
            "E00010",
            ("router_admin",),
        )
    )
    response, _ = await browser.post("/sign-in", {"person": "operator"}, allow_redirects=False)
    assert response.status == 303
    claims = jwt.decode(seen[0].removeprefix("Bearer "), key.public_key(), ["EdDSA"], audience="tiermesh-gateway")
    assert (claims["sub"], claims["tenant"], claims["roles"]) == ("E00010", "acme", ["router_admin"])

    plain = await (await start_world()).browser()
    _, text = await plain.get("/sign-in")
    assert "Development sign-in" not in text
    response, _ = await plain.post("/sign-in", {"person": "operator"}, allow_redirects=False)
    assert response.status == 400


async def test_one_principal_serves_many_pages(world: Any) -> None:
    browser = await world.browser("operator-token")
    for path in ("/routing", "/cost", "/quality"):
        await browser.get(path)
    assert world.gateway.issued == 1


@pytest.mark.parametrize("kind", ["multipart/form-data", "application/x-www-form-urlencoded; charset=utf-16"])
async def test_a_body_that_is_no_form_is_said_to_be_none(world: Any, kind: str) -> None:
    browser = await world.browser("")
    async with browser.session.post(world.root + "/sign-in", data=b"x", headers={"Content-Type": kind}) as response:
        assert response.status == 400
        assert "The form cannot be read." in await response.text()


@pytest.mark.parametrize("token", ["é", "a\nb", "\U0001f468" * 9, "x" * 9000])
async def test_what_can_be_no_token_is_refused_without_asking_the_gateway(world: Any, token: str) -> None:
    browser = await world.browser("")
    await browser.get("/sign-in")
    response, _ = await browser.post("/sign-in", {"token": token}, allow_redirects=False)
    assert response.status == 401
