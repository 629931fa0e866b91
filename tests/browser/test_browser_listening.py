"""The listening page in a browser: what its buttons and keys do, what it shows, and to whom."""

from collections.abc import Callable, Sequence
from pathlib import Path

import listening
import pytest
from playwright.sync_api import Locator, Page

from unmix.dsp import loudness

OpenPage = Callable[..., Page]
UGLY = '<img src=x onerror=alert(1)> "quoted" & </script><b>bold'
# Method and stem of the clips that are heard, from the gains of the running sources once they have settled.
HEARD = """() => {
  const voices = player.graph?.voices ?? [];
  const on = voices.filter(({ clip }) => player.level(clip) > 0);
  if (!voices.every(({ clip, gain }) => Math.abs(gain.value - player.level(clip)) < 0.01)) return null;
  const names = on.map(({ clip }) => `${methods[clip.method]} ${clip.method ? sources[clip.stem] : ""}`.trim());
  return names.sort().join(", ");
}"""


@pytest.fixture
def opened(open_page: OpenPage, tmp_path: Path) -> Callable[..., Page]:
    """Open a page of excerpts and wait until it is drawn."""

    def run(
        excerpts: Sequence[object] | None = None, names: Sequence[str] = ("umx", "oracle"), **options: object
    ) -> Page:
        page = open_page(listening.write(tmp_path, excerpts, names), **options)
        page.evaluate("ready")
        return page

    return run


def expect_heard(page: Page, *clips: str) -> None:
    listening.wait_for(page, f"({HEARD})() === {', '.join(sorted(clips))!r}")


def stems(method: str, *names: str) -> list[str]:
    return [f"{method} {name}" for name in names or listening.SOURCES]


def pressed(locator: Locator) -> bool:
    return locator.get_attribute("aria-pressed") == "true"


def test_buttons_choose_method_and_stems(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Loop").click()
    expect_heard(page, *stems("reference"))
    page.get_by_role("button", name="umx", exact=True).click()
    expect_heard(page, *stems("umx"))
    page.get_by_role("button", name="mute drums").click()
    expect_heard(page, *stems("umx", "vocals", "bass", "other"))
    page.get_by_role("button", name="solo bass").click()
    expect_heard(page, "umx bass")
    page.get_by_role("button", name="oracle, other alone").click()
    expect_heard(page, "oracle other")
    assert page.locator("#now").inner_text() == "You hear oracle other"
    page.get_by_role("button", name="mixture").click()
    expect_heard(page, "mixture")
    assert pressed(page.get_by_role("button", name="mixture"))
    page.get_by_role("button", name="Pause").click()
    assert not page.evaluate("player.isPlaying")


def test_keys_choose_method_and_stems_and_play(opened: Callable[..., Page]) -> None:
    page = opened()
    page.keyboard.press("l")
    page.keyboard.press(" ")
    expect_heard(page, *stems("reference"))
    for key, clips in (
        ("2", stems("umx")),
        ("d", ["umx drums"]),
        ("ArrowDown", ["oracle drums"]),
        ("d", stems("oracle")),
        ("Shift+V", stems("oracle", "drums", "bass", "other")),
        ("ArrowUp", stems("umx", "drums", "bass", "other")),
        ("0", ["mixture"]),
    ):
        page.keyboard.press(key)
        expect_heard(page, *clips)
    page.get_by_role("button", name="reference", exact=True).focus()
    page.keyboard.press(" ")  # not a press of the focused button
    assert page.evaluate("[player.isPlaying, state.method]") == [False, 0]
    page.keyboard.press("Enter")
    assert page.evaluate("state.method") == 1


def test_keys_move_and_mark_a_loop(opened: Callable[..., Page]) -> None:
    page = opened([listening.excerpt(seconds=4)])

    def position() -> float:
        return page.evaluate("player.position")

    for key, seconds in (
        ("ArrowRight", 1),
        ("ArrowRight", 2),
        ("Shift+ArrowLeft", 1.9),
        ("ArrowLeft", 0.9),
        ("Home", 0),
    ):
        page.keyboard.press(key)
        assert position() == pytest.approx(seconds)
    page.keyboard.press("End")
    assert position() == pytest.approx(3.98)
    for key in ("Home", "ArrowRight", "[", "ArrowRight", "]", "z"):
        page.keyboard.press(key)
    assert page.evaluate("[state.region, state.loop, state.isZoomed]") == [[1, 2], True, True]
    assert page.locator("#ruler span").first.inner_text() == "1.0"
    page.keyboard.press("Home")
    page.keyboard.press(" ")
    assert page.evaluate(
        "player.graph.voices.every(({ source }) => source.loop && source.loopStart === 1 && source.loopEnd === 2)"
    )
    listening.wait_for(page, "player.context.currentTime > player.startedAt + 1.2")
    assert 1 <= position() <= 2
    page.keyboard.press("Escape")
    assert page.evaluate("[state.region, state.isZoomed]") == [None, False]
    page.keyboard.press("l")
    page.keyboard.press("End")
    listening.wait_for(page, "!player.isPlaying")  # without a loop, the end is the end
    assert page.get_by_role("button", name="Play").is_visible()


def test_a_click_in_the_picture_moves_and_a_drag_selects_a_loop(opened: Callable[..., Page]) -> None:
    page = opened([listening.excerpt(seconds=4)])
    box = page.locator("#timeline").bounding_box()
    assert box is not None
    at = lambda share: (box["x"] + share * box["width"], box["y"] + 50)  # noqa: E731
    page.mouse.click(*at(0.5))
    assert page.evaluate("player.position") == pytest.approx(2, abs=0.02)
    page.mouse.move(*at(0.75))
    page.mouse.down()
    page.mouse.move(*at(0.4))
    page.mouse.move(*at(0.25))
    page.mouse.up()
    assert page.evaluate("state.region") == pytest.approx([1, 3], abs=0.02)
    page.get_by_role("button", name="Zoom").click()
    page.mouse.click(*at(0.5))
    assert page.evaluate("player.position") == pytest.approx(2, abs=0.02)
    page.get_by_role("button", name="Whole excerpt").click()
    assert page.evaluate("state.region") is None


def test_the_pictures_follow_what_is_heard(opened: Callable[..., Page]) -> None:
    page = opened()

    def picture() -> list[str]:
        listening.wait_for(page, "picture.done === pictureKey()")
        return [page.evaluate(f"document.getElementById('{name}').toDataURL()") for name in ("wave", "spectrum")]

    pictures = []
    for key in ("0", "1", "v", "2"):
        page.keyboard.press(key)
        pictures.append(picture())
    for kind in zip(*pictures, strict=True):
        assert len(set(kind)) == 4
    page.keyboard.press("v")
    page.keyboard.press("1")
    assert picture() == pictures[1]


def test_a_blind_test_hides_what_is_heard_and_counts(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_label("Method A").select_option("umx")
    page.get_by_label("Method B").select_option("oracle")
    page.get_by_role("button", name="Start").click()
    assert page.locator("#now").inner_text().strip() == "You hear X"
    assert page.locator("#matrix").is_hidden()
    names = {"a": "umx", "b": "oracle"}
    drawn = set()
    for trial in range(1, 13):
        x = page.evaluate("blind.x")
        drawn.add(x)
        expect_heard(page, *stems(names[x]))
        if trial == 1:
            for which in ("a", "b", "x"):
                page.keyboard.press(which)
                expect_heard(page, *stems(names[x if which == "x" else which]))
                assert page.locator("#now").inner_text().strip() == f"You hear {which.upper()}"
            page.keyboard.press("2")  # an answer, not a method
            wrong = int(x == "a")
            assert page.evaluate("[blind.trials, blind.right]") == [1, 1 - wrong]
        else:
            page.get_by_role("button", name=f"X is {x.upper()}").click()
        assert page.evaluate("picture.drawn").split(",")[1] == "0"  # of the mixture
    assert drawn == {"a", "b"}
    right, p = (11, "0.003") if wrong else (12, "2.4e-4")
    assert (
        f"{right} of 12 right; by guessing, as many or more happen with p = {p}." in page.locator("#score").inner_text()
    )
    page.get_by_role("button", name="End the test").click()
    assert page.locator("#score").inner_text().startswith(f"umx against oracle: {right} of 12")
    assert page.locator("#matrix").is_visible()
    assert page.evaluate("[pValue(0, 5), pValue(5, 5), pValue(9, 12)]") == pytest.approx([1, 1 / 32, 299 / 4096])


def test_a_blind_test_plays_both_methods_as_loud_as_bs_1770_says(opened: Callable[..., Page]) -> None:
    excerpt = listening.excerpt(seconds=3)
    for stem in excerpt.stems[2].values():
        stem *= 2
    page = opened([excerpt])
    page.keyboard.press("Shift+D")  # without drums
    sums = [sum(stems[name] for name in ("vocals", "bass", "other")).numpy() for stems in excerpt.stems[1:]]
    levels = [loudness.integrated(waveform, 44100) for waveform in sums]
    measured = [page.evaluate(f"loudness(player.clips, levelOf({method}), [0, 3])") for method in (2, 3)]
    assert measured == pytest.approx(levels, abs=0.05)
    page.get_by_role("button", name="Start").click()
    listening.wait_for(page, "player.isPlaying")
    gains = page.evaluate("[blind.gains.a, blind.gains.b]")
    assert gains == pytest.approx([1, 10 ** ((levels[0] - levels[1]) / 20)], abs=0.005)
    assert (
        page.locator("#matched").inner_text() == f"The louder of A and B is lowered by {levels[1] - levels[0]:.1f} dB."
    )
    assert page.locator("#level").is_hidden()  # the meter would tell which is which
    page.evaluate("[setRegion([0, 0.2]), matchLevels()][1]")  # too short to measure
    assert page.evaluate("[blind.gains.a, blind.gains.b]") == pytest.approx(gains)


def test_silence_is_not_matched(opened: Callable[..., Page]) -> None:
    page = opened([listening.excerpt(seconds=0.5, methods=[["vocals"], listening.SOURCES])])
    page.keyboard.press("d")
    page.get_by_role("button", name="Start").click()
    listening.wait_for(page, "player.isPlaying")
    assert page.locator("#matched").inner_text().startswith("A and B play as they are: one is silent")


def test_a_method_without_a_source_says_so(opened: Callable[..., Page]) -> None:
    page = opened([listening.excerpt(methods=[["vocals"], listening.SOURCES])])
    assert page.get_by_title("umx has no drums").inner_text() == "absent"
    page.keyboard.press("2")
    assert page.locator("#which").inner_text() == "vocals; it has no drums, bass, other"
    page.keyboard.press("d")
    assert page.locator("#which").inner_text() == "silence; it has no drums"


def test_names_are_text_and_long_ones_fit(opened: Callable[..., Page]) -> None:
    long = ("a very long name " * 18).strip()
    excerpts = [listening.excerpt(UGLY, seconds=0.2), listening.excerpt(long, seconds=0.2)]
    page = opened(excerpts, (UGLY, long), width=390)
    assert page.locator("#track option").all_inner_texts() == [UGLY, long]
    assert page.get_by_role("button", name=UGLY, exact=True).inner_text() == f"2\n{UGLY}"
    assert page.locator("img").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Track").select_option(index=1)
    listening.wait_for(page, "state.track === 1 && player.clips.length === 13")


@pytest.mark.parametrize(("rate", "channels", "words"), [(22050, 1, "22050 Hz, mono"), (96000, 2, "96000 Hz, stereo")])
def test_tracks_of_other_rates_and_channels_play(
    opened: Callable[..., Page], rate: int, channels: int, words: str
) -> None:
    page = opened([listening.excerpt(seconds=0.2), listening.excerpt("Other", rate=rate, channels=channels)])
    page.keyboard.press(" ")
    page.get_by_label("Track").select_option("Other")
    listening.wait_for(page, f"player.clips.length && player.clips[0].buffer.sampleRate === {rate}")
    assert words in page.locator("#about").inner_text()
    assert page.evaluate("player.clips.every(({ buffer }) => buffer.duration === 1)")
    page.locator("h1").click()  # a focused list keeps its keys
    page.keyboard.press("l")
    page.keyboard.press(" ")
    expect_heard(page, *stems("reference"))


def test_a_browser_without_web_audio_and_one_without_an_output_say_so(opened: Callable[..., Page]) -> None:
    page = opened(script="delete window.AudioContext; delete window.OfflineAudioContext")
    assert "no Web Audio" in page.get_by_role("alert").inner_text()
    assert page.get_by_role("button", name="Play").is_disabled()
    page = opened(
        script="""
            AudioContext.prototype.resume = () => new Promise(() => {});
            window.AudioContext = class extends AudioContext {
              constructor(options) { super(options); this.suspend(); }
            }"""
    )
    page.get_by_role("button", name="Play").click()
    alert = page.get_by_role("alert")
    alert.wait_for()
    assert alert.inner_text() == "No sound: this browser has no output for it (its audio is suspended)."


CONTRASTS = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const luminance = (color, below) => {
    canvas.fillStyle = below; canvas.fillRect(0, 0, 1, 1);
    canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const background = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return color === "rgba(0, 0, 0, 0)" ? background(element.parentElement) : color;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), all = [];
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.tagName === "SCRIPT") continue;
    const below = background(element);
    const pair = [luminance(getComputedStyle(element).color, below), luminance(below, below)];
    all.push([(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05), texts.currentNode.data.trim()]);
  }
  return all;
}"""


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_every_text_has_enough_contrast(opened: Callable[..., Page], dark: bool) -> None:
    page = opened([listening.excerpt(seconds=0.2, methods=[["vocals"], listening.SOURCES])], dark=dark)
    page.evaluate("complain('a complaint')")
    page.keyboard.press("v")
    before = page.evaluate(CONTRASTS)
    page.get_by_role("button", name="Start").click()
    page.keyboard.press("1")
    texts = [*before, *page.evaluate(CONTRASTS)]
    assert len(texts) > 80
    assert [text for text in texts if text[0] < 4.5] == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_phone_needs_no_horizontal_scrolling(opened: Callable[..., Page], dark: bool) -> None:
    page = opened([listening.excerpt(seconds=0.2)], width=390, dark=dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Start").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_screen_reader_is_told_what_everything_is(opened: Callable[..., Page]) -> None:
    page = opened([listening.excerpt(seconds=0.2)])
    slider = page.get_by_role("slider", name="Position")
    assert slider.get_attribute("aria-valuetext") == "0.0 of 0.2 seconds"
    controls = "[...document.querySelectorAll('button, select, input')]"
    assert page.evaluate(f"{controls}.every((each) => each.innerText.trim() || each.labels.length)")
    assert page.locator("#now").get_attribute("aria-live") == "polite"
    assert page.get_by_role("group", name="umx").get_by_role("button").count() == 5
