import json
import re

import pytest
import torch

from unmix.reports.listening_page import Excerpt, to_html


def excerpt(references, *estimates, rate=44100):
    mixture = torch.full((2, 1000), 0.5)
    return Excerpt("A Song", 0, rate, mixture, [references, *estimates])


def facts(page):
    return json.loads(re.search(r"id=content>(.*?)</script>", page)[1])


def test_sources_of_methods_follow_those_of_the_data_and_what_lacks_a_reference_has_no_sdr():
    tone = torch.full((2, 1000), 0.1)
    page = to_html(["a", "b"], [excerpt({"vocals": tone, "drums": 0 * tone}, {"piano": tone, "vocals": 2 * tone}, {})])
    assert facts(page)["sources"] == ["vocals", "drums", "piano"]
    (track,) = facts(page)["tracks"]
    assert track["sdr"] == [[0.0, None, None], [None, None, None]]


def test_methods_named_like_the_page_s_own_stay_apart():
    tone = torch.full((2, 1000), 0.1)
    page = to_html(["reference", "mixture"], [excerpt({"vocals": tone}, {"vocals": tone}, {"vocals": -tone})])
    assert facts(page)["methods"] == ["mixture", "reference", "reference", "mixture"]
    assert re.findall(r'id="clip-0-(\d-\d)"', page) == ["0-0", "1-0", "2-0", "3-0"]


def test_a_page_holds_no_address_but_its_own_data():
    page = to_html(["a"], [excerpt({}, {})])
    assert re.findall(r"https?:|//\w+\.", page) == []
    assert "default-src 'none'" in page


@pytest.mark.parametrize(("rate", "channels"), [(96000, 2), (44100, 3)])
def test_a_format_without_such_audio_is_refused(rate, channels):
    wide = Excerpt("A Song", 0, rate, torch.zeros(channels, 1000), [{}])
    with pytest.raises(ValueError, match=rf"^format: got mp3, which has no audio of {rate} Hz and {channels} channels"):
        to_html([], [wide], "mp3")
    assert to_html([], [wide], "flac")
