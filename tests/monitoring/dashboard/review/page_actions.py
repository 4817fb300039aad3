"""What reviewers do on the page, and what is recorded of it."""


def open_page_as(context, address, name):
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda message: message.type == "error" and page.errors.append(message.text))
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    page.locator("#work").wait_for()
    page.wait_for_load_state("networkidle")
    return page


def get_case(page):
    page.wait_for_function("() => document.getElementById('row-about').textContent")
    return page.locator("#row-about").inner_text().split(" · ")[-1]


def press(page, key):
    """Press a key, and wait for another row."""
    before = get_case(page)
    page.keyboard.press(key)
    page.wait_for_function("before => !document.getElementById('row-about').textContent.includes(before)", arg=before)
    return before


def wait_until_sent(page):
    page.wait_for_function("() => !Object.keys(localStorage).some(key => key.startsWith('review.action'))")


def wait_for_worker(page):
    page.evaluate("() => navigator.serviceWorker.ready.then(() => null)")


def find_actions(reviewed, reviewer):
    return [action for action in reviewed.read_actions() if action["reviewer"] == reviewer]
