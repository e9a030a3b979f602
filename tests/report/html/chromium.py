"""A headless Chromium for tests of the report: no network, a profile of its own, logs of what went wrong."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time

#: Quiet and alone: Chromium of its own accord looks for updates, a profile to sync, a first page.
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip


def missing():
    """Why there can be no browser here; empty where there can."""
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed; install it with: pip install 'lrtool[browser]'"
    if binary() is None or shutil.which("chromedriver") is None:
        return "chromium or its driver is not installed; install them with: apt-get install chromium chromium-driver"
    return ""


def binary():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@contextlib.contextmanager
def chromium(path=None, size=(1280, 900), dark=False):
    """A driver; `dark`: what the page is told of the system's colours. Below 500 pixels it is a phone."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = path or binary()
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        try:
            scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
            driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
            if size[0] < 500:
                phone = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": True}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
            yield driver
        finally:
            driver.quit()


def wait_until_ready(driver, seconds=20.0):
    """Wait until the page says that it can be used; gives after how many milliseconds that was."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = driver.execute_script("return document.documentElement.dataset.ready")
        if found:
            return float(found)
        time.sleep(0.02)
    raise AssertionError(f"the page was not ready within {seconds} s: {errors(driver)}")


def errors(driver):
    """What the console says, of any level."""
    return [entry["message"] for entry in driver.get_log("browser")]


def requests(driver):
    """Every address that the page asked for; what the browser's own pages load beside it is its business."""
    found = []
    for entry in driver.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] != "Network.requestWillBeSent":
            continue
        if not message["params"]["documentURL"].startswith("chrome:"):
            found.append(message["params"]["request"]["url"])
    return found
