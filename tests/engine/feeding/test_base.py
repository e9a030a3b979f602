from lrtool.engine.feeding.base import Feed


class Plain(Feed):
    def __call__(self, m):
        return m, 1.0


def test_most_feeds_have_nothing_to_keep():
    feed = Plain()
    feed.begin(0)
    feed.passed(1)
    feed.restore(None, 3)
    feed.close()
    assert feed.state() is None and feed.repeats(0)
