from unmix.reports import live
from unmix.reports.live import LivePage


def test_a_page_is_made_again_only_after_ten_times_what_making_it_took(monkeypatch):
    now, made = [100.0], []

    def make():
        made.append(now[0])
        now[0] += 2
        return f"page {len(made)}"

    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    page = LivePage(make)
    assert page(None).content == b"page 1"
    now[0] = 121.9
    assert page(None).content == b"page 1"
    now[0] = 122.0
    assert page(None).content == b"page 2"
    assert made == [100.0, 122.0]
