"""The service's page in a browser: it shows the endpoints, calls nothing outside, and no other page can hold it."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers.pages import browser_pages, local_sites
from tests.helpers.servers import local_service

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # BentoML's use of pydantic
    pytest.mark.slow,  # a browser
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("page")
    local_service.deploy_version(folder, "1")
    app = local_service.build_service(local_service.make_service_settings(folder), local_service.PROBLEM).to_asgi()
    listening = socket.create_server(("127.0.0.1", 0))
    with local_sites.serve_app(app, [listening]):
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_page_shows_the_endpoints_and_calls_nothing_outside(address: str) -> None:
    with browser_pages.launch_chromium() as browser, browser_pages.open_page(browser, f"{address}/") as seen:
        seen.page.get_by_text("/predict").first.wait_for()
        assert seen.requested_hosts == {"127.0.0.1"}


@pytest.mark.parametrize("path", ["/", "/docs.json", "/metrics", "/no/such/page"])
def test_every_page_says_what_a_browser_may_do_with_it(address: str, path: str) -> None:
    headers = httpx.get(address + path, trust_env=False).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; ")
    assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
