"""The English that is translated: real sentences where they are at hand, our own elsewhere."""

import gzip
import os
import random
from itertools import cycle, islice
from pathlib import Path

NAME = "dev/tatoeba.en-fr.tsv.gz"
SEED = 5  # the file is in alphabetical order; arrivals are not

OWN = """
Yes.
Good morning.
Where is the station?
I do not know.
She laughed.
The soup is still hot.
Please close the window.
My brother lives in Lyon.
What time does the train leave?
We have been waiting for an hour.
He forgot his umbrella again.
There is no more bread.
Can you help me carry this table?
The cat sleeps on the old red chair.
I would like two tickets for tomorrow.
They sold their house last summer.
Nobody answered when I knocked at the door.
It rained so hard that the street was under water.
You should have told me before I paid for everything.
My grandmother used to bake apple pies every Sunday.
The children are playing in the garden behind the school.
If you turn left at the bridge, you will see the market.
Her new book is about a sailor who never learned to swim.
I read the letter twice, but I still do not understand it.
Do you remember the small restaurant where we first met?
The doctor said that he must rest for at least two weeks.
Stop.
Thank you very much.
How old is your daughter?
This coffee is too strong for me.
The museum is closed on Mondays.
I have lost my keys somewhere in the park.
Tell him that I will call back this evening.
Our neighbour plays the violin until late at night.
The mountain was covered with snow from October to May.
Nothing is more difficult than to write a short letter.
She wants to become an engineer and build bridges.
We missed the last bus, so we walked home in the rain.
The price of milk has gone up three times this year.
He speaks four languages but cannot keep a secret in any of them.
Although the road was narrow and dark, the driver went far too fast.
The old clock in the hall has not worked since my grandfather died.
Before you sign the contract, read every page of it with great care.
It took them three days to cross the desert, and two more to find water.
I have never seen so many stars as on that night by the sea.
Why are you crying?
The baker opens at six.
Put the plates on the shelf above the sink.
My sister and her husband are coming to dinner on Friday.
The bird built its nest under the roof of the station.
When the lights went out, everyone in the theatre began to sing.
Some people believe that the island was once part of the mainland.
The committee will decide next month whether the library can stay open.
She looked at the map for a long time, folded it, and asked a farmer the way.
The letter that you sent in March reached us only yesterday, because the address was wrong.
He promised that he would repair the fence, paint the door and cut the grass before winter.
What surprised me most was not the size of the city but how quiet its streets were.
As soon as the rain had stopped, the men went back to the field, for there was hay to bring in.
The new law, which was meant to protect small shops, has made life harder for most of them.
Although nobody had asked for his opinion, he explained for almost an hour, with many examples \
and no pause, why the plan could not possibly succeed.
""".strip().splitlines()


def read(count: int) -> list[str]:
    """Return `count` English sentences of mixed length, repeated as needed; says which.

    They are the sources of `dev/tatoeba.en-fr.tsv.gz` in the folder INTERLINEA_DATA, in an
    order that is always the same, or else sentences written for this file.
    """
    found, whose = _found()
    print(f"Sentences: {whose}")
    random.Random(SEED).shuffle(found)
    return list(islice(cycle(found), count))


def origin() -> str:
    """Say which sentences `read` returns."""
    return _found()[1]


def _found() -> tuple[list[str], str]:
    path = Path(os.environ.get("INTERLINEA_DATA", "data")) / NAME
    if not path.is_file():
        return list(OWN), f"{len(OWN)} of our own (INTERLINEA_DATA has no {NAME})"
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        found = [line.split("\t", 1)[0] for line in lines if line.strip()]
    return found, f"{len(found)} of {NAME}"
