"""The report in a real headless Chromium: it draws, asks for nothing, and shows the values that are on disk."""

import json
import math
import os
from pathlib import Path

import pytest

from lrtool.report.html.page import Page
from lrtool.report.html.render import render
from lrtool.runs.metrics import read_metrics
from lrtool.runs.sweep.store import read_trials
from tests.report.html.chromium import chromium, errors, missing, requests, wait_until_ready
from tests.report.html.folders import range_test_run, sweep_run, train_run

pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(missing()), reason=missing() or "there is a browser")]

EVIL = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">${alert(1)}"
GRID = [{"optimizer.lr": lr, "schedule.kind": kind} for lr in (0.01, 0.1, 1.0, 10.0) for kind in ("cosine", "constant")]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """One of each: a sweep, a range test, trainings of which one is still going, a name that is HTML."""
    out = tmp_path_factory.mktemp("runs")
    return {
        "sweep": sweep_run(out, GRID),
        "range-test": range_test_run(out),
        "train": train_run(out),
        "going": train_run(out, seed=1, ended=False),
        "evil": train_run(out, name=EVIL),
    }


@pytest.fixture(scope="module")
def files(folders, tmp_path_factory):
    """The reports: of the sweep alone, and of everything."""
    out = tmp_path_factory.mktemp("reports")
    shown = {"sweep": [folders["sweep"]], "all": list(folders.values())}
    for name, paths in shown.items():
        (out / f"{name}.html").write_text(render(Page.of([str(path) for path in paths])))
    return {name: out / f"{name}.html" for name in shown}


@pytest.fixture(scope="module")
def driver():
    with chromium() as driver:
        yield driver


@pytest.fixture
def page(driver, files):
    """Opens a report; gives the driver."""

    def page(name="sweep"):
        errors(driver), requests(driver)
        driver.get(files[name].as_uri())
        wait_until_ready(driver)
        return driver

    return page


def series(driver, section, wanted="true"):
    """The series of a section's first chart that hold points: names by id."""
    script = (
        f"return echarts.getInstanceByDom(document.querySelector('#{section} .canvas')).getOption().series"
        f".filter(s => s.data.length && {wanted}).map(s => [s.id, s.name])"
    )
    return dict(driver.execute_script(script))


def seen(driver, section):
    """Scroll there, and wait until its charts are drawn."""
    driver.execute_script(f"document.getElementById('{section}').scrollIntoView()")
    drawn = f"return [...document.querySelectorAll('#{section} .canvas')].every(c => echarts.getInstanceByDom(c))"
    for _ in range(100):
        if driver.execute_script(drawn):
            return
    raise AssertionError(f"{section} is not drawn")


@pytest.mark.parametrize("name", ["sweep", "all"])
def test_it_draws_without_an_error_or_a_request(page, name):
    driver = page(name)
    for section in driver.execute_script("return [...document.querySelectorAll('#charts section')].map(s => s.id)"):
        if section != "trials":
            seen(driver, section)
    assert errors(driver) == []
    assert [url for url in requests(driver) if not url.startswith(("file:", "data:"))] == []
    assert sum(url.startswith("file:") for url in requests(driver)) <= 1


def test_names_that_are_html_are_only_text(page):
    driver = page("all")
    seen(driver, "curves")
    assert driver.title != "owned" and EVIL[:40] in driver.find_element("css selector", "main").text
    assert driver.execute_script("return document.querySelectorAll('main img').length") == 0
    # What hovering shows is made of names, too.
    box = driver.execute_script(
        "const chart = echarts.getInstanceByDom(document.querySelector('#curves .canvas'));"
        "const s = chart.getOption().series; const at = s.findIndex(e => (e.name ?? '').includes('<img'));"
        "chart.dispatchAction({type: 'showTip', seriesIndex: at, dataIndex: 0});"
        "return [at, document.querySelector('#curves .tip').textContent, document.querySelectorAll('img').length]"
    )
    assert box[0] >= 0 and "<img src=x" in box[1] and box[2] == 0
    assert errors(driver) == []


def test_a_script_that_is_not_ours_cannot_run(page):
    driver = page()
    driver.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.owned = 1'; document.body.append(s)"
    )
    assert driver.execute_script("return window.owned") is None
    assert any("Content Security Policy" in message for message in errors(driver))


def test_a_series_is_toggled(page):
    driver = page()
    seen(driver, "curves")
    before = series(driver, "curves", "s.id !== 'others'")
    box = driver.find_element("css selector", "#curves .legend .ticks input:checked")
    row = box.get_attribute("data-row")
    driver.execute_script("arguments[0].click()", box)
    after = series(driver, "curves", "s.id !== 'others'")
    assert before.keys() - after.keys() == {f"trial-{row}"}
    # The table knows of it, and can bring it back.
    again = driver.find_element("css selector", f"#trials input[data-row='{row}']")
    assert not again.is_selected()
    driver.execute_script("arguments[0].click()", again)
    assert series(driver, "curves", "s.id !== 'others'").keys() == before.keys()
    seen(driver, "response")
    count = len(series(driver, "response"))
    driver.execute_script("document.querySelector('#response .ticks input').click()")
    assert len(series(driver, "response")) < count


def cells(driver, column):
    script = (
        "const heads = [...document.querySelectorAll('#trials thead th')];"
        "const place = heads.findIndex(h => h.textContent === arguments[0]);"
        "return [...document.querySelectorAll('#trials tbody tr:not(.room)')].map(r => r.cells[place].title)"
    )
    return driver.execute_script(script, column)


def test_the_table_is_sorted_and_filtered_and_has_the_values_on_disk(page, folders):
    driver = page()
    heads = driver.find_elements("css selector", "#trials thead th button")
    head = next(each for each in heads if each.text == "val_accuracy")
    trials = {str(trial.number): trial for trial in read_trials(folders["sweep"])}
    for direction in ("ascending", "descending"):
        driver.execute_script("arguments[0].click()", head)
        assert head.find_element("xpath", "..").get_attribute("aria-sort") == direction
        shown = [float(cell) for cell in cells(driver, "val_accuracy") if cell]
        assert shown == sorted(shown, reverse=direction == "descending")
    for number, loss, rate in zip(
        cells(driver, "trial"), cells(driver, "val_loss"), cells(driver, "optimizer.lr"), strict=True
    ):
        assert float(loss) == trials[number].values["val_loss"] if loss else not trials[number].values
        assert float(rate) == trials[number].settings["optimizer.lr"]
    find = driver.find_element("css selector", "#trials input[type=search]")
    find.send_keys("cosine optimizer.lr<0.5 finished")
    expected = {
        n for n, t in trials.items() if t.settings["schedule.kind"] == "cosine" and t.settings["optimizer.lr"] < 0.5
    }
    assert set(cells(driver, "trial")) == expected


def test_curves_and_what_hovering_shows_are_what_is_on_disk(page, folders):
    driver = page("all")
    table = read_metrics(folders["train"] / "metrics.csv")
    seen(driver, "curves")
    select = driver.find_element("css selector", "#curves select")
    driver.execute_script("arguments[0].value = 'train_loss'; arguments[0].dispatchEvent(new Event('change'))", select)
    wanted = json.dumps(f"small/{folders['train'].name}: small, cosine, seed 0 (trial 0)")
    data = driver.execute_script(
        "const chart = echarts.getInstanceByDom(document.querySelector('#curves .canvas'));"
        f"const s = chart.getOption().series; const at = s.findIndex(e => e.name === {wanted});"
        "chart.dispatchAction({type: 'showTip', seriesIndex: at, dataIndex: 7});"
        "return [s[at].data, document.querySelector('#curves .tip').textContent]"
    )
    assert data[0] == [[step + 1, loss] for step, loss in zip(table["step"], table["train_loss"], strict=True)]
    assert repr(float(table["train_loss"][7])) in data[1]


def test_lr_charts_have_the_suggestion_and_the_losses(page, folders):
    driver = page("all")
    seen(driver, "lr")
    summary = json.loads((folders["range-test"] / "summary.json").read_text())
    marks = driver.execute_script(
        "return echarts.getInstanceByDom(document.querySelector('#lr .canvas')).getOption().series"
        ".find(s => s.id === 'marks').markLine.data.map(m => [m.name, m.xAxis])"
    )
    assert dict(marks) == {
        "suggested": summary["suggested_lr"], "lower bound": summary["lower_lr"], "upper bound": summary["upper_lr"]
    }  # fmt: skip
    names = set(series(driver, "lr").values())
    assert {"ramp, seed 0", "ramps, running mean over seeds", "validation loss after 20 updates"} <= names
    assert "0.123" in driver.find_element("css selector", "#answer").text


def test_the_heat_map_has_the_means_and_what_diverged(page, folders):
    driver = page()
    seen(driver, "settings")
    axes, drawn, lost = driver.execute_script(
        "const option = echarts.getInstanceByDom(document.querySelector('#settings .canvas')).getOption();"
        "const [cells, lost] = option.series.map(s => s.data);"
        "return [[option.xAxis[0].data, option.yAxis[0].data], cells.map(d => d.value), lost]"
    )
    wanted: dict = {}
    for trial in read_trials(folders["sweep"]):
        wanted.setdefault((trial.settings["optimizer.lr"], trial.settings["schedule.kind"]), []).append(trial.values)
    means = {key: [each["val_loss"] for each in found if each] for key, found in wanted.items()}
    shown = {(float(axes[0][x]), axes[1][y]): mean for x, y, mean, *_ in drawn}
    assert shown == {key: pytest.approx(sum(found) / len(found)) for key, found in means.items() if found}
    assert {float(axes[0][x]) for x, *_ in lost} == {10.0} and len(shown) + len(lost) == len(GRID)


def test_zoom_by_keys_log_axes_and_reset(page):
    driver = page()
    seen(driver, "curves")
    zoomed = "return echarts.getInstanceByDom(document.querySelector('#curves .canvas')).getOption().dataZoom[0].end"
    canvas = driver.find_element("css selector", "#curves .canvas")
    assert driver.execute_script(zoomed) == 100
    canvas.send_keys("+")
    assert driver.execute_script(zoomed) == pytest.approx(75)
    canvas.send_keys("0")
    assert driver.execute_script(zoomed) == 100
    box = driver.find_elements("css selector", "#curves .controls input[type=checkbox]")[1]
    driver.execute_script("arguments[0].click()", box)
    kind = "return echarts.getInstanceByDom(document.querySelector('#curves .canvas')).getOption().yAxis[0].type"
    assert driver.execute_script(kind) == "log"


def test_everything_is_reached_by_the_tab_key(page):
    from selenium.webdriver import ActionChains, Keys

    driver = page()
    driver.execute_script("scrollTo(0, 0); document.activeElement.blur()")
    reached = set()
    for _ in range(120):
        ActionChains(driver).send_keys(Keys.TAB).perform()
        reached.add(driver.execute_script("return document.activeElement.closest('section, header')?.id ?? 'top'"))
    sections = set(driver.execute_script("return [...document.querySelectorAll('#charts section')].map(s => s.id)"))
    assert sections <= reached


def luminance(colour):
    red, green, blue = (int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
    parts = [c / 12.92 if c <= 0.04045 else math.pow((c + 0.055) / 1.055, 2.4) for c in (red, green, blue)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(driver, selector):
    ink, paper = driver.execute_script(
        "const e = document.querySelector(arguments[0]); let p = e;"
        "while (getComputedStyle(p).backgroundColor === 'rgba(0, 0, 0, 0)') p = p.parentElement;"
        "return [getComputedStyle(e).color, getComputedStyle(p).backgroundColor]",
        selector,
    )
    low, high = sorted(map(luminance, (ink, paper)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_both_themes_can_be_read_on_a_phone(files, dark, tmp_path):
    folder = Path(os.environ.get("LRTOOL_SCREENSHOTS", tmp_path))
    with chromium(size=(390, 844), dark=dark) as driver:
        driver.get(files["all"].as_uri())
        wait_until_ready(driver)
        assert driver.execute_script("return document.documentElement.scrollWidth") == 390
        for selector in ("h1", ".headline", ".answers li", "figcaption", "td", ".small", "button"):
            assert contrast(driver, selector) >= 4.5, selector
        paper = "return getComputedStyle(document.body).backgroundColor"
        assert (luminance(driver.execute_script(paper)) < 0.1) is dark
        assert driver.save_screenshot(str(folder / f"phone-{'dark' if dark else 'light'}.png"))
        driver.find_element("id", "theme").click()
        driver.find_element("id", "theme").click()
        assert driver.execute_script("return document.documentElement.dataset.theme") == "light"
        assert luminance(driver.execute_script(paper)) > 0.8


def test_it_prints_with_every_chart(page):
    driver = page()
    printed = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(printed["data"]) > 50_000 and errors(driver) == []
    drawn = "return [...document.querySelectorAll('.canvas')].every(c => echarts.getInstanceByDom(c))"
    assert driver.execute_script(drawn)


def test_ten_thousand_series(driver, tmp_path):
    out = sweep_run(tmp_path, [{"optimizer.lr": 0.01 * (1 + i / 5000)} for i in range(5000)], seeds=2, points=20)
    file = tmp_path / "many.html"
    file.write_text(render(Page.of([str(out)])))
    assert file.stat().st_size < 10e6
    errors(driver)
    driver.get(file.as_uri())
    wait_until_ready(driver)
    rows = driver.execute_script("return document.querySelectorAll('#trials tbody tr').length")
    assert rows < 100 and driver.find_element("css selector", "#trials table").get_attribute("aria-rowcount") == "10001"
    seen(driver, "curves")
    assert len(series(driver, "curves")) < 50 and errors(driver) == []
    best = cells(driver, "val_loss")
    assert [float(each) for each in best] == sorted(float(each) for each in best)
