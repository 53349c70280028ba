from benchmarks.ours import Ours, capacity, shipped

SOURCES = [[9, 10, 11, 0], [40, 41, 42, 43, 44, 0]]


def test_the_engine_without_attention_decodes_the_same_tokens() -> None:
    bundle = shipped()
    with Ours(bundle, capacity()) as whole, Ours(bundle, capacity(), attention=False) as cut:
        for beam in (1, 4):
            ours, theirs = whole.search(SOURCES, beam), cut.search(SOURCES, beam)
            assert [path.tokens for path in ours] == [path.tokens for path in theirs]
            assert all(path.attention for path in ours)
            assert not any(path.attention for path in theirs)
