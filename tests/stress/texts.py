"""Sentences as people write them: some by hand, and any number put together from their parts."""

import random

WRITTEN = (
    "Good morning.",
    "I have lost my keys again.",
    "The train to Lyon leaves at half past six.",
    "Could you tell me where the library is?",
    "She has never seen the sea.",
    "If it rains tomorrow, we will stay at home and play cards.",
    "My brother, who lives in Canada, is coming to see us next week.",
    "No!",
    "We don't know yet whether the museum will be open on Sunday.",
    "The children were so tired after the long walk that they fell asleep in the car.",
    "Please send your answer to anna.berg@example.org before 12 May 2027.",
    "How much does this cost?",
    "He said that he would call me, but he did not, and I am still waiting.",
    "It is the first time that I have eaten so well in this town.",
)

_WHO = ("The old man", "My sister", "Our neighbour", "The teacher", "A young doctor", "Nobody")
_DOES = ("reads", "has found", "is looking for", "never forgets", "would like to buy", "remembers")
_WHAT = ("the red book", "a house by the river", "her blue coat", "the last letter", "some bread")
_WHEN = ("every morning", "after work", "in the garden", "when it is cold", "before the holidays")
_MORE = (
    "because nobody else has the time",
    "although the weather has been bad for weeks",
    "and then goes home without saying a word",
    "as long as there is enough light in the room",
)


def sentence(draw: random.Random) -> str:
    """One sentence, of one word to some thirty."""
    if draw.random() < 0.4:
        return draw.choice(WRITTEN)
    parts = [draw.choice(_WHO), draw.choice(_DOES), draw.choice(_WHAT)]
    if draw.random() < 0.6:
        parts.append(draw.choice(_WHEN))
    if draw.random() < 0.4:
        parts.append(draw.choice(_MORE))
    return " ".join(parts) + "."


def text(draw: random.Random, sentences: int) -> str:
    """Some sentences, one after another."""
    return " ".join(sentence(draw) for _ in range(sentences))
