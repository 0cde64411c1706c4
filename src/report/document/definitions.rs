//! What the words and figures mean, as every report explains them.

/// Terms and their meaning.
pub(super) const DEFINITIONS: &[(&str, &str)] = &[
    ("cell", "One model under one protocol over one link: what one row of the tables is about."),
    (
        "setup, offline, online",
        "Setup is done once per model and pair of parties (base OTs, masked weights). Offline is the input-independent \
         work of this query (correlated randomness, garbling). Online starts when the client has its image and ends when \
         it has the logits. Each phase has a clock of its own.",
    ),
    (
        "total",
        "Offline plus online of the same query: what one query costs if nothing was prepared beforehand. Setup is not in it.",
    ),
    (
        "up, down",
        "Up is client to server, down is server to client. Bytes are payload of that direction only; KB = 1000 bytes.",
    ),
    (
        "round",
        "One way, not there and back: a message's depth is one more than that of the deepest message its sender had \
         received in the phase, and a phase has as many rounds as its deepest message. A ping-pong is two rounds, a \
         simultaneous exchange is one.",
    ),
    (
        "RTT, bandwidth",
        "RTT is the link's round-trip time without queueing; one way takes half of it. Bandwidth is the rate of each direction.",
    ),
    (
        "median, interval",
        "Times are medians over the counted runs, with a 95 % bootstrap interval of the median. Warm-up runs are not counted; \
         repetitions of the protocols of a model and link alternate, so that a slow moment of the machine hits all of them.",
    ),
    (
        "speedup",
        "Time of the baseline over time of the subject, the median over pairs of runs with the same repetition and image, \
         with its 95 % interval. Above 1 the subject is faster.",
    ),
    (
        "floor",
        "What the same transcript takes on that link if computing were free. The rest of the online time is computing that \
         the link did not hide.",
    ),
    (
        "critical path",
        "The chain of computing and messages that leads back from the logits to the image. Its four parts (computing of \
         the server and of the client, latency, bandwidth) add up to the online time of the run with the median time.",
    ),
    (
        "dealer",
        "A trusted third process that hands out correlated randomness before the query is known. What it sends is listed \
         apart from the parties' bytes, and its time is in the offline time.",
    ),
    (
        "agreement",
        "Runs whose class is that of the plaintext floating-point network with the same activation functions, out of the \
         runs with a result. A run whose values left the 64-bit ring has no result.",
    ),
    ("accuracy", "Runs whose class is the data set's label, with a 95 % Wilson interval."),
    (
        "virtual clock",
        "Each party's clock advances by the processor time that its own thread really used and by the arrival of messages. \
         Everything is executed for real; only the waiting is computed. A wall clock really waits.",
    ),
    (
        "security",
        "Two semi-honest parties that do not collude, 128 bits of computational security. The server knows the weights, \
         the client its image; the client learns the logits.",
    ),
];
