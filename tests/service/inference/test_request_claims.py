"""Whichever worker meets a key: its answer is in the log once, and whoever comes later finds it there."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penumbra.logs.append_log import LogWriter, encode_json, read_entries
from service.inference.idempotency import claim_file, request_claims
from service.inference.idempotency.request_claims import ClaimJournal, KeyedRequest, name_record, read_claimed_answers

REQUEST, OTHER = KeyedRequest("k" * 22, "b" * 22), KeyedRequest("o" * 22, "b" * 22)


def make_entries(request: KeyedRequest, n_records: int = 1, start: int = 0) -> list[bytes]:
    return [encode_json({"request": name_record(request, n)}) for n in range(start, start + n_records)]


class Worker:
    """What one worker does for a request that asks for so many records, a step at a time."""

    def __init__(self, folder: Path) -> None:
        self.log, self.journal = LogWriter(folder / "predictions"), ClaimJournal(folder, minutes=60)

    def answer(self, request: KeyedRequest, n_records: int = 1) -> list[Any] | None:
        """The ids of the entries; None where another worker has to be waited for."""
        claims = self.journal.find(request)
        known = read_claimed_answers(self.log.folder, claims, n_records)
        start = len(known.entries)
        if start < n_records and not known.is_pending:
            if not self.journal.claim(request, self.log.reserve(), start, claims):
                return None
            new = self.log.append(make_entries(request, n_records - start, start))
            return [*(entry["id"] for entry in known.entries), *new]
        return None if known.is_pending else [entry["id"] for entry in known.entries]

    def die(self) -> None:
        """What the kernel does: the lock on the segment is released."""
        self.log.close()


def test_a_repeated_request_finds_the_first_ones_entries(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    ids = first.answer(REQUEST, 3)
    assert ids == [entry["id"] for entry in read_entries(tmp_path / "predictions")]
    assert first.answer(REQUEST, 3) == second.answer(REQUEST, 3) == ids


def test_another_key_is_another_request(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    assert worker.answer(REQUEST) != worker.answer(OTHER)


def test_of_two_workers_that_found_nothing_one_has_the_claim(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    places = first.log.reserve(), second.log.reserve()
    assert [first.journal.claim(REQUEST, places[0], 0, []), second.journal.claim(REQUEST, places[1], 0, [])] == [
        True,
        False,
    ]
    assert second.answer(REQUEST) is None
    ids = first.log.append(make_entries(REQUEST))
    assert second.answer(REQUEST) == ids


def test_a_worker_that_ends_between_claim_and_entry_leaves_the_request_to_the_next(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.log.append([b'{"a":1}'])
    first.journal.claim(REQUEST, first.log.reserve(), 0, [])
    assert second.answer(REQUEST) is None
    first.die()
    (name,) = second.answer(REQUEST) or []
    assert [entry["id"] for entry in read_entries(tmp_path / "predictions") if "request" in entry] == [name]


def test_a_claim_that_was_taken_back_is_none_though_its_place_is_taken_by_others(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    known = first.journal.find(REQUEST)
    ids = second.answer(REQUEST)
    assert not first.journal.claim(REQUEST, first.log.reserve(), 0, known)
    other = first.answer(OTHER)
    assert (first.answer(REQUEST), second.answer(REQUEST), second.answer(OTHER)) == (ids, ids, other)


def test_of_a_list_that_was_cut_short_by_the_writers_end_the_rest_is_logged(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.journal.claim(REQUEST, first.log.reserve(), 0, [])
    begun = first.log.append(make_entries(REQUEST, 2))
    (segment,) = (tmp_path / "predictions").glob("*.jsonl")
    with segment.open("ab") as torn:
        torn.write(make_entries(REQUEST, 1, 2)[0][:10])
    assert second.answer(REQUEST, 4) is None
    first.die()
    ids = second.answer(REQUEST, 4)
    assert ids is not None
    assert (ids[:2], len(set(ids))) == (begun, 4)
    assert Worker(tmp_path).answer(REQUEST, 4) == ids


def test_a_claim_of_the_last_period_counts_and_older_files_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [time.time()]
    monkeypatch.setattr(request_claims.time, "time", lambda: now[0])
    worker = Worker(tmp_path)
    ids = worker.answer(REQUEST)
    now[0] += 3600
    assert worker.answer(REQUEST) == Worker(tmp_path).answer(REQUEST) == ids
    now[0] += 3600
    assert worker.answer(REQUEST) != ids
    assert len(os.listdir(tmp_path / "claims")) == 1


def test_a_claim_that_the_end_of_the_period_overtook_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker, times = Worker(tmp_path), iter([3599.0, 3599.0, 3599.0, 3600.0])
    place = worker.log.reserve()
    monkeypatch.setattr(request_claims.time, "time", lambda: next(times, 3600.0))
    assert not worker.journal.claim(REQUEST, place, 0, [])
    assert worker.journal.find(REQUEST) == []


@pytest.mark.parametrize("damage", [b"kkkk", b"\x00" * 50, b"a b c d e f\n", b"\x00" * (1 << 17)])
def test_a_line_that_was_cut_short_is_no_claim_and_hides_none(tmp_path: Path, damage: bytes) -> None:
    first = Worker(tmp_path)
    ids = first.answer(REQUEST)
    (path,) = (tmp_path / "claims").iterdir()
    with path.open("ab") as claims:
        claims.write(damage)
    second = Worker(tmp_path)
    while (other := second.answer(OTHER)) is None:
        pass
    assert (second.answer(REQUEST), first.answer(OTHER)) == (ids, other)


def write_claims(folder: Path, n_claims: int) -> int:
    path = folder / "claims" / str(int(time.time() // 3600))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"".join(b"%022x %022x 0123456789abcdef0-%x 0 %08x\n" % (n, n, n, n) for n in range(n_claims)))
    return path.stat().st_size


def test_many_claims_are_read_in_steps_and_none_is_answered_for_before_all_are_read(tmp_path: Path) -> None:
    size = write_claims(tmp_path, 20_000)
    journal = ClaimJournal(tmp_path, minutes=60)
    with pytest.raises(OSError, match="still being read"):
        journal.find(REQUEST)
    n_steps = request_claims.MAX_STEPS + 1
    while not journal.catch_up():
        n_steps += 1
    assert n_steps == -(-size // claim_file.READ_BYTES)
    key = f"{19_999:022x}"
    assert [claim.place for claim in journal.find(KeyedRequest(key, key))] == ["0123456789abcdef0-4e1f"]
    assert journal.find(REQUEST) == []


def test_keys_of_which_only_the_hash_is_the_same_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim_file, "_hash_key", lambda _: (0, 0))
    worker = Worker(tmp_path)
    ids, others = worker.answer(REQUEST), worker.answer(OTHER)
    assert ids != others
    assert (worker.answer(REQUEST), worker.answer(OTHER)) == (ids, others)


def test_claims_that_were_deleted_are_begun_anew_where_all_workers_find_them(tmp_path: Path) -> None:
    first, second = Worker(tmp_path), Worker(tmp_path)
    first.answer(REQUEST)
    second.answer(REQUEST)
    shutil.rmtree(tmp_path / "claims")
    ids = first.answer(OTHER)
    while (found := second.answer(OTHER)) is None:
        pass
    assert found == ids == Worker(tmp_path).answer(OTHER)


def test_what_was_claimed_in_a_segment_that_is_about_to_be_written_anew_is_waited_for(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    (name,) = worker.answer(REQUEST) or []
    claims = worker.journal.find(REQUEST)
    shutil.rmtree(tmp_path / "predictions")
    assert read_claimed_answers(tmp_path / "predictions", claims, 1, can_return=True).is_pending
    assert not read_claimed_answers(tmp_path / "predictions", claims, 1, can_return=False).is_pending
    worker.log.recover()
    assert worker.answer(REQUEST) == [name]


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["find", "claim", "append", "die", "other"])), max_size=25
    )
)
def test_in_whatever_order_workers_find_claim_append_and_end_there_is_one_answer(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]]
) -> None:
    folder = tmp_path_factory.mktemp("steps")
    workers, known, won = [Worker(folder) for _ in range(3)], dict[int, Any](), set[int]()
    for number, step in steps:
        worker = workers[number]
        if step == "die":
            worker.die()
            workers[number] = Worker(folder)
            known.pop(number, None)
            won.discard(number)
        elif number in won:  # nothing comes between claim and entry
            if step == "append":
                worker.log.append(make_entries(REQUEST))
                won.discard(number)
        elif step == "find":
            claims = worker.journal.find(REQUEST)
            found = read_claimed_answers(worker.log.folder, claims, 1)
            known.pop(number, None)
            if not found.entries and not found.is_pending:
                known[number] = claims
        elif step == "claim" and number in known:
            if worker.journal.claim(REQUEST, worker.log.reserve(), 0, known.pop(number)):
                won.add(number)
        elif step == "other":
            worker.answer(OTHER)
    for worker in workers:
        worker.die()
    ids = Worker(folder).answer(REQUEST)
    logged = [entry["id"] for entry in read_entries(folder / "predictions")]
    by_request = [entry["request"] for entry in read_entries(folder / "predictions")]
    assert by_request.count(name_record(REQUEST, 0)) == 1
    assert by_request.count(name_record(OTHER, 0)) <= 1
    assert ids is not None
    assert ids[0] in logged
