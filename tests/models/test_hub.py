"""Models from a hub: what is downloaded, kept, refused and reported, with a hub on loopback."""

from __future__ import annotations

import io
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import huggingface_hub
import pytest
from click.testing import CliRunner
from helpers.command import LIBRARY, Run, environment, run_command
from helpers.hub import COMMIT, Handler, Hub, list_entry, serving
from huggingface_hub import constants

from tagger.app.models import get_model
from tagger.cli.tag import main
from tagger.errors import CheckpointError
from tagger.models import cache as tagger_cache
from tagger.models import download, presets
from tagger.models import hub as tagger_hub
from tagger.models.find import find_model

TOKEN = "hf_" + "Secret" * 6
NEEDED = ["model.safetensors", "preprocessor_config.json", "config.json"]


@pytest.fixture
def hub(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that serves someone/tiny, an empty cache, and no waits."""
    with serving(Hub()) as hub:
        more = {"pytorch_model_dot_bin": b"pickled", "evil_dot_py": b"import os"}
        hub.add("someone/tiny", tiny_model, README_dot_md=b"hello", **more)
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(download, "PAUSES", (0.0, 0.0, 0.0))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub
        huggingface_hub.close_session()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def refused(name: str, accepted: bool = False) -> str:
    """The message about a model that cannot be downloaded, which must be one line."""
    with pytest.raises(CheckpointError) as caught:
        list(get_model(name, lambda message: None, accepted=accepted, quiet=True))
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500
    return message


def weights_of(tiny_model: Path) -> bytes:
    return (tiny_model / "model.safetensors").read_bytes()


# --- getting and keeping --------------------------------------------------------------------------


def test_a_model_is_downloaded_once_and_only_what_it_needs(hub: Hub, tiny_model: Path) -> None:
    said: list[str] = []
    info = find_model("someone/tiny", said.append)
    assert (info.name, info.folder.name) == (f"someone/tiny@{COMMIT}", COMMIT)
    assert info.fingerprint == find_model(str(tiny_model)).fingerprint
    assert hub.fetched() == NEEDED
    assert len(said) == 1
    assert said[0].startswith("downloading someone/tiny from the Hugging Face hub: 0.")
    assert f"licence mit, revision {COMMIT}" in said[0]
    asked = len(hub.asked)
    assert find_model("someone/tiny", said.append) == info
    assert find_model(f"someone/tiny@{COMMIT}", said.append).folder == info.folder
    assert (len(hub.asked), len(said)) == (asked, 1)


def test_the_cache_is_one_that_other_programs_read(hub: Hub, cache: Path) -> None:
    find_model("someone/tiny")
    for name in NEEDED:
        found = huggingface_hub.hf_hub_download("someone/tiny", name, local_files_only=True)
        assert Path(found).parent == tagger_cache.cached("someone/tiny")
        blob = Path(found).resolve()
        assert blob.parent == cache / "models--someone--tiny/blobs"
        assert blob.name == download.content_hash(blob, blob.name)
    assert not list(cache.rglob("*.incomplete"))


def test_two_at_once_download_it_once(hub: Hub) -> None:
    want = tagger_hub.Wanted("x", "someone/tiny")
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(tagger_hub.fetch, want, print, quiet=True) for _ in range(2)]
        folders = {one.result() for one in both}
    assert folders == {tagger_cache.cached("someone/tiny")}
    assert hub.fetched() == NEEDED


def test_files_are_copied_where_links_cannot_be_made(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*given: object) -> None:
        raise OSError("a required privilege is not held by the client")

    monkeypatch.setattr("pathlib.Path.symlink_to", forbidden)
    folder = find_model("someone/tiny").folder
    assert not any(path.is_symlink() for path in folder.iterdir())
    assert tagger_cache.cached("someone/tiny") == folder


def test_what_another_program_has_downloaded_is_used(hub: Hub, tiny_model: Path) -> None:
    # As the hub's own library leaves it.
    place = Path(constants.HF_HUB_CACHE) / "models--someone--tiny"
    folder = place / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for path in tiny_model.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (place / "refs").mkdir()
    (place / "refs/main").write_text(COMMIT)
    assert find_model("someone/tiny").folder == folder
    assert hub.asked == []


def test_a_snapshot_without_weights_is_not_a_checkpoint_yet(hub: Hub, tiny_model: Path) -> None:
    folder = tagger_hub.fetch(tagger_hub.Wanted("x", "someone/tiny"), print, quiet=True)
    (folder / "model.safetensors").unlink()
    assert tagger_cache.cached("someone/tiny") is None
    asked = len(hub.asked)
    assert find_model("someone/tiny").folder == folder
    assert len(hub.asked) == asked + 1  # the list alone: its content is still in the cache


@pytest.mark.parametrize("revision", ["main", COMMIT, COMMIT[:7]])
def test_a_revision_may_be_requested(hub: Hub, revision: str) -> None:
    info = find_model(f"someone/tiny@{revision}")
    assert info.name == f"someone/tiny@{COMMIT}"
    hub.repos.clear()
    assert find_model(f"someone/tiny@{revision}") == info


def test_main_stays_what_it_was_at_the_first_download(hub: Hub) -> None:
    find_model("someone/tiny")
    hub.commit = "f" * 40
    assert find_model("someone/tiny").folder.name == COMMIT
    assert find_model(f"someone/tiny@{'f' * 40}").folder.name == "f" * 40
    assert find_model("someone/tiny").folder.name == COMMIT


def test_a_commit_other_than_the_requested_one_is_refused(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Handler.about
    monkeypatch.setattr(Handler, "about", lambda self, repo, _: answer(self, repo, "main"))
    assert "returns another revision than " + "e" * 40 in refused(f"someone/tiny@{'e' * 40}")
    assert hub.fetched() == []


def test_pickled_weights_are_downloaded_only_if_there_are_no_others(
    hub: Hub, tiny_model: Path
) -> None:
    files = hub.repos["someone/tiny"]
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    folder = tagger_hub.fetch(tagger_hub.Wanted("x", "someone/tiny"), print, quiet=True)
    assert hub.fetched() == ["pytorch_model.bin", *NEEDED[1:]]
    assert (folder / "pytorch_model.bin").read_bytes() == weights_of(tiny_model)


def test_weights_in_parts_are_fetched_if_all_are_there(hub: Hub) -> None:
    files = hub.repos["someone/tiny"]
    whole = files.pop("model.safetensors")
    parts = [f"model-{part:05}-of-00003.safetensors" for part in (1, 2, 3)]
    files |= dict.fromkeys(parts[:2], whole)
    assert tagger_cache.weight_names(set(files)) == ["pytorch_model.bin"]
    files[parts[2]] = whole + b"more"
    folder = tagger_hub.fetch(tagger_hub.Wanted("x", "someone/tiny"), print, quiet=True)
    assert sorted(hub.fetched()) == sorted([*parts[1:], *NEEDED[1:]])  # two are the same
    assert sorted(path.name for path in folder.iterdir()) == sorted([*parts, *NEEDED[1:]])


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        (["config.json"], "it has no config.json"),
        (["model.safetensors", "pytorch_model.bin"], "it has no safetensors or pytorch_model.bin"),
    ],
)
def test_a_repository_that_is_not_a_classifier_costs_one_request(
    hub: Hub, absent: list[str], message: str
) -> None:
    for name in absent:
        del hub.repos["someone/tiny"][name]
    assert message in refused("someone/tiny")
    assert len(hub.asked) == 1


def test_a_repository_without_preprocessor_is_remembered_as_such(hub: Hub) -> None:
    want = tagger_hub.Wanted("x", "someone/tiny")
    preprocessor = hub.repos["someone/tiny"].pop("preprocessor_config.json")
    folder = tagger_hub.fetch(want, print, quiet=True)
    assert hub.fetched() == ["model.safetensors", "config.json"]
    assert tagger_cache.cached("someone/tiny") == folder
    # If another program left it out, it is requested.
    hub.repos["someone/tiny"]["preprocessor_config.json"] = preprocessor
    (folder.parents[1] / ".no_exist" / COMMIT / "preprocessor_config.json").unlink()
    assert tagger_cache.cached("someone/tiny") is None
    assert (tagger_hub.fetch(want, print, quiet=True) / "preprocessor_config.json").is_file()


# --- what can go wrong ----------------------------------------------------------------------------


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(
    hub: Hub, tiny_model: Path, cache: Path
) -> None:
    hub.cuts = [1000, 50_000]
    assert find_model("someone/tiny").fingerprint == find_model(str(tiny_model)).fingerprint
    ranges = [headers.get("Range") for headers in hub.headers[1:4]]
    assert ranges == [None, "bytes=1000-", "bytes=51000-"]
    assert hub.fetched() == ["model.safetensors"] * 3 + NEEDED[1:]


def test_a_download_that_stays_cut_off_is_not_used_and_goes_on_the_next_time(
    hub: Hub, tiny_model: Path, cache: Path
) -> None:
    hub.cuts = [1000, 0, 0, 0, 0]
    said: list[str] = []
    with pytest.raises(CheckpointError) as caught:
        find_model("someone/tiny", said.append)
    message = str(caught.value)
    assert [line.endswith("; resuming in 0 s") for line in said] == [False, True, True, True]
    assert "model.safetensors of someone/tiny was cut off after 0.0 of 0." in message
    assert "run the same command again to resume" in message
    assert tagger_cache.cached("someone/tiny") is None
    assert not list(cache.rglob("snapshots/*"))
    hub.asked.clear()
    hub.headers.clear()
    assert find_model("someone/tiny").fingerprint == find_model(str(tiny_model)).fingerprint
    assert hub.headers[1]["Range"] == "bytes=1000-"
    assert hub.fetched() == NEEDED


def test_without_ranges_a_download_starts_again(hub: Hub, tiny_model: Path) -> None:
    hub.ranges = False
    hub.cuts = [1000]
    assert find_model("someone/tiny").fingerprint == find_model(str(tiny_model)).fingerprint
    assert hub.headers[2]["Range"] == "bytes=1000-"


def test_leftovers_of_another_file_do_no_harm(hub: Hub, tiny_model: Path, cache: Path) -> None:
    content = weights_of(tiny_model)
    blobs = cache / "models--someone--tiny/blobs"
    blobs.mkdir(parents=True)
    scratch = blobs / f"{list_entry('model.safetensors', content)['lfs']['sha256']}.incomplete"
    scratch.write_bytes(b"x" * (len(content) + 1))
    find_model("someone/tiny")
    (blobs.parent / "snapshots" / COMMIT / "model.safetensors").resolve().unlink()
    scratch.write_bytes(b"x" * 500)
    assert "does not match the hash that the hub lists" in refused("someone/tiny")
    assert not scratch.exists()
    find_model("someone/tiny")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_content_that_does_not_match_the_hubs_hash_is_removed_and_named(
    hub: Hub, cache: Path, name: str
) -> None:
    hub.wrong = name
    assert f"someone/tiny: the content of {name} does not match" in refused("someone/tiny")
    assert tagger_cache.cached("someone/tiny") is None
    assert not list(cache.rglob("*.incomplete"))
    hub.wrong = ""
    find_model("someone/tiny")


def test_more_bytes_than_the_hub_announced_are_refused(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Handler.file
    monkeypatch.setattr(Handler, "file", lambda self, name, data: send(self, name, data * 2))
    assert "sends more than it announced" in refused("someone/tiny")
    assert max(path.stat().st_size for path in cache.rglob("*.incomplete")) < 1 << 20


@pytest.mark.parametrize(
    "entry",
    [
        {"size": -1, "lfs": None}, {"size": "many", "lfs": None}, {"lfs": {"sha256": "../../evil"}},
        {"lfs": None, "blobId": None}, {"lfs": None, "blobId": "A" * 40}, {"lfs": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_list_without_sizes_and_hashes_is_refused(
    hub: Hub, entry: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if entry == {"lfs": []}:
        entry = {"lfs": [], "blobId": "../evil"}
    monkeypatch.setattr(
        "helpers.hub.list_entry", lambda name, content: {**list_entry(name, content), **entry}
    )
    assert "the hub's list of its files is unusable" in refused("someone/tiny")
    assert hub.fetched() == []


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[]", b"[" * 100_000])
def test_an_endpoint_that_is_not_a_hub_is_named(
    hub: Hub, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "do_GET", lambda self: self.send(200, answer))
    assert f"{hub.address} is not a Hugging Face hub; check HF_ENDPOINT" in refused("someone/tiny")


@pytest.mark.parametrize(
    ("status", "headers", "message"),
    [
        (401, {}, "refuses access (401)"),
        (403, {"X-Error-Code": "GatedRepo"}, "accept the terms on its page, and set HF_TOKEN"),
        (404, {"X-Error-Code": "RepoNotFound"}, "no such model or file (404); check the name"),
        (
            404,
            {"X-Error-Code": "RevisionNotFound"},
            "no such revision of it (404); check what",
        ),
        (418, {}, "the hub answers 418"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_tried_again(
    hub: Hub, status: int, headers: dict[str, str], message: str
) -> None:
    hub.refusals = [(status, headers)]
    message_seen = refused("someone/tiny")
    assert (
        message_seen.startswith("someone/tiny could not be downloaded: ")
        and message in message_seen
    )
    assert len(hub.asked) == 1


def test_a_model_or_revision_that_is_not_there_is_named(hub: Hub) -> None:
    assert refused("someone/else").startswith(
        "someone/else could not be downloaded: the hub has no"
    )
    assert "someone/tiny@v2 could not be downloaded: the hub has no such revision" in refused(
        "someone/tiny@v2"
    )


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_hub_out_of_order_is_tried_again_a_few_times(hub: Hub, status: int) -> None:
    hub.refusals = [(status, {})] * 3
    said: list[str] = []
    find_model("someone/tiny", said.append)
    assert said[:3] == [f"the hub answers {status}; trying again in 0 s"] * 3
    hub.refusals = [(status, {})] * 4
    assert f"({status}); try again later" in refused(f"someone/tiny@{COMMIT[:7]}")
    assert hub.refusals == []


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "2"}, {"RateLimit": '"api";r=0;t=2'}],
    ids=["retry-after", "ratelimit"],
)
def test_a_wait_that_the_hub_asks_for_is_reported_and_kept(
    hub: Hub, status: int, headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    hub.refusals = [(status, headers)]
    said: list[str] = []
    find_model("someone/tiny", said.append)
    assert said[0] == f"the hub answers {status}; trying again in 2 s"
    assert waited == [2.0]


def test_a_long_wait_is_left_to_the_user(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: pytest.fail(f"waited {seconds} s"))
    hub.refusals = [(429, {"Retry-After": "3600"})]
    assert "no more requests for now (429); try again in 3600 seconds" in refused("someone/tiny")


def test_a_date_in_retry_after_is_understood() -> None:
    assert download._retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0
    assert download._retry_after({"retry-after": "soon"}) is None
    assert download._retry_after({}) is None


def test_no_network_is_one_line_with_what_to_do(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and never listens
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        message = refused("someone/tiny")
    assert f"someone/tiny could not be downloaded: no connection to {address}" in message
    assert "check the network and HTTPS_PROXY, or give a folder" in message


def test_offline_means_offline(hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert f"is not in {cache}, and HF_HUB_OFFLINE is set: unset it" in refused("someone/tiny")
    assert hub.asked == []


def test_a_disk_without_room_is_known_beforehand(
    hub: Hub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = type("Usage", (), {"free": 1_100_000})
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    message = refused("someone/tiny")
    assert "needs 0.1 MB" in message and "1.1 MB free: free some space, or set HF_HOME" in message
    assert hub.fetched() == []
    blobs = cache / "models--someone--tiny/blobs"
    blobs.mkdir(parents=True)
    weights = list_entry("model.safetensors", hub.repos["someone/tiny"]["model.safetensors"])
    (blobs / f"{weights['lfs']['sha256']}.incomplete").write_bytes(bytes(100_000))
    assert "does not match the hash" in refused("someone/tiny")  # there is room for the rest of it


def test_a_disk_that_fills_up_is_named(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tagger.models.download.os.fsync", full)
    message = refused("someone/tiny")
    assert "could not be saved in" in message and "free some space, or set HF_HOME" in message


def test_a_cache_that_cannot_be_written_is_named(hub: Hub, cache: Path) -> None:
    cache.write_text("a file")
    message = refused("someone/tiny")
    assert f"could not be saved in {cache}" in message
    assert "set HF_HOME to a folder that can be written" in message


def test_a_damaged_file_on_disk_is_found_and_downloaded_again(hub: Hub) -> None:
    blob = (find_model("someone/tiny").folder / "model.safetensors").resolve()
    content = blob.read_bytes()
    blob.write_bytes(content[:-1])
    hub.asked.clear()
    list(get_model("someone/tiny", print, accepted=False, quiet=True))
    assert hub.fetched() == ["model.safetensors"]
    assert blob.read_bytes() == content


@pytest.mark.parametrize(
    "name",
    ["a--b/c", "a/b..c", "/a", "a/", "a/b/c", "a/b@", "a/b@../x", "a/b@-x", "../x", ".a/b",
     "a/" + "b" * 300, "a/b@" + "c" * 300, "a b/c", "a/b@c d", "ä/b", "@main", "a@main"],
)  # fmt: skip
def test_an_impossible_hub_id_is_never_requested(hub: Hub, name: str) -> None:
    with pytest.raises(CheckpointError, match="no model "):
        find_model(name)
    assert hub.asked == []


# --- presets and licences -------------------------------------------------------------------------


@pytest.fixture
def preset(hub: Hub, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let a preset be the tiny model, with its own id, pin and licence."""

    def served(name: str) -> None:
        known = presets.PRESETS[name]
        hub.add(known.repo, tiny_model)
        hub.commit = known.revision or COMMIT

    return served


@pytest.mark.parametrize("name", ["audioset", "audioset-distil"])
def test_a_preset_is_fetched_at_its_pin(hub: Hub, preset: Callable[..., None], name: str) -> None:
    preset(name)
    known = presets.PRESETS[name]
    info = find_model(name)
    assert info.name == f"{known.repo}@{known.revision}"
    assert hub.asked[0] == f"/api/models/{known.repo}/revision/{known.revision}?blobs=true"
    asked = len(hub.asked)
    assert find_model(known.repo) == info
    assert len(hub.asked) == asked


def test_a_folder_with_the_name_of_a_preset_is_written_as_a_path(
    hub: Hub, preset: Callable[..., None], tiny_model: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    preset("audioset")
    (tmp_path / "audioset").symlink_to(tiny_model)
    monkeypatch.chdir(tmp_path)
    assert find_model("audioset").name.startswith("MIT/")
    assert find_model("./audioset").name == "./audioset"


@pytest.mark.parametrize("name", ["discogs", "discogs-400"])
def test_a_licence_for_non_commercial_use_must_be_agreed_to(
    hub: Hub, preset: Callable[..., None], name: str
) -> None:
    preset(name)
    repo = presets.PRESETS[name].repo
    for asked in (name, repo, f"{repo}@{COMMIT}"):
        message = refused(asked)
        assert message.startswith(f"{asked} is for non-commercial use only")
        assert "CC-BY-NC-SA-4.0" in message
        assert message.endswith(f"`tag-genres models get {asked} --accept-licence`")
    assert hub.asked == []
    list(get_model(name, print, accepted=True, quiet=True))
    assert find_model(name).folder.name == hub.commit  # the files on disk are used


@pytest.mark.parametrize("place", ["tags", "card"])
def test_the_licence_of_any_model_is_read_before_its_files_are(
    hub: Hub, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.licences["someone/tiny"] = "cc-by-nc-4.0"
    if place == "card":
        hub.licences["someone/tiny"] = "mit"
        answer = {"cardData": {"license": "cc-by-nc-4.0"}}
        load = download.read_listing
        monkeypatch.setattr(tagger_hub, "read_listing", lambda *given: {**load(*given), **answer})
    assert "someone/tiny is for non-commercial use only (its licence is cc-by-nc-4.0" in refused(
        "someone/tiny"
    )
    assert hub.fetched() == []
    list(get_model("someone/tiny", print, accepted=True, quiet=True))
    assert tagger_cache.cached("someone/tiny")


# --- the command ----------------------------------------------------------------------------------


def test_the_list_shows_what_is_on_disk_and_sends_no_request(
    hub: Hub, preset: Callable[..., None]
) -> None:
    preset("audioset")
    find_model("audioset")
    hub.asked.clear()
    run = CliRunner().invoke(main, ["models"])
    assert run.exit_code == 0, run.output
    lines = run.stdout.splitlines()
    facts = {name: lines[2 * number + 1] for number, name in enumerate(presets.PRESETS)}
    on_disk = {name for name in presets.PRESETS if facts[name].endswith(" · on disk")}
    assert on_disk == {"gtzan-small", "audioset"}
    assert "519 styles · 348 MB · CC-BY-NC-SA-4.0 · not on disk" in facts["discogs"]
    assert all(len(line) <= 80 for line in lines)
    known = json.loads(CliRunner().invoke(main, ["models", "--json"]).stdout)
    assert [entry["name"] for entry in known] == list(presets.PRESETS)
    assert {entry["name"] for entry in known if entry["folder"]} == on_disk
    assert hub.asked == []
    details = CliRunner().invoke(main, ["models", "--verbose"]).stdout
    assert all(entry["vocabulary"] in details for entry in known)


def test_get_describes_the_model_and_its_folder(hub: Hub, cache: Path) -> None:
    run = CliRunner().invoke(main, ["models", "get", "someone/tiny"])
    assert run.exit_code == 0, run.output
    folder = cache / "models--someone--tiny/snapshots" / COMMIT
    assert run.stdout.splitlines() == [
        f"model:   someone/tiny@{COMMIT}, 4 labels",
        "licence: see https://huggingface.co/someone/tiny",
        "page:    https://huggingface.co/someone/tiny",
        f"folder:  {folder}",
    ]
    assert run.stderr.startswith("downloading someone/tiny")
    quiet = CliRunner().invoke(main, ["models", "get", "someone/tiny", "--quiet"])
    assert (quiet.exit_code, quiet.output) == (0, "")


def test_get_fails_in_one_line_and_with_the_code_for_nothing_done(hub: Hub) -> None:
    run = CliRunner().invoke(main, ["models", "get", "someone/else"])
    assert (run.exit_code, run.stdout) == (1, "")
    assert run.stderr.startswith("tag-genres: someone/else could not be downloaded")
    assert len(run.stderr.splitlines()) == 1
    assert CliRunner().invoke(main, ["models", "get"]).exit_code == 2
    assert CliRunner().invoke(main, ["models", "put"]).exit_code == 2


@pytest.mark.parametrize(("terminal", "quiet"), [(True, False), (True, True), (False, False)])
def test_there_is_a_bar_on_a_terminal_only(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, terminal: bool, quiet: bool
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: terminal)
    monkeypatch.setattr("sys.stderr", stream)
    find_model("someone/tiny", quiet=quiet)
    assert ("downloading:   0%" in stream.getvalue()) == (terminal and not quiet)


# --- environment ----------------------------------------------------------------------------------


@pytest.fixture
def get(tmp_path: Path, hub: Hub) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `tag-genres models get someone/tiny` with an environment, outside of this process."""
    home = tmp_path / "home"
    home.mkdir()

    def get(name: str = "someone/tiny", **env: str) -> subprocess.CompletedProcess[str]:
        usual = {
            key: value for key, value in environment(home).items() if "PROXY" not in key.upper()
        }
        usual |= {"HF_ENDPOINT": hub.address, "HF_HUB_OFFLINE": "0"}
        return run_command("models", "get", name, cwd=home, env=usual | env)

    return get


def test_home_and_token_are_those_of_the_environment(
    get: Callable[..., subprocess.CompletedProcess[str]], hub: Hub, tmp_path: Path
) -> None:
    hub.token = TOKEN
    without = get()
    assert without.returncode == 1 and "(401)" in without.stderr
    done = get(HF_TOKEN=TOKEN, HF_HOME=str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stderr
    assert {headers.get("Authorization") for headers in hub.headers[1:]} == {f"Bearer {TOKEN}"}
    assert str(tmp_path / "elsewhere/hub/models--someone--tiny") in done.stdout
    assert TOKEN not in done.stdout + done.stderr


def test_a_proxy_is_used_and_its_password_is_not_printed(
    get: Callable[..., subprocess.CompletedProcess[str]], hub: Hub, tiny_model: Path
) -> None:
    with serving(Hub()) as proxy:
        proxy.add("someone/tiny", tiny_model)
        through = proxy.address.replace("//", "//user:password@")
        server, proxy.address = proxy.address, hub.address
        done = get(HTTP_PROXY=through)
        assert done.returncode == 0, done.stderr
        assert len(proxy.asked) == 4 and hub.asked == []
        assert proxy.asked[0].startswith(f"{hub.address}/api/models/someone/tiny")
        direct = get(HTTP_PROXY=through, NO_PROXY="127.0.0.1", HF_HOME=str(tiny_model / "../hf"))
        assert direct.returncode == 0, direct.stderr
        assert len(proxy.asked) == 4 and len(hub.asked) == 4
    gone = get("someone/else", HTTP_PROXY=through)
    assert gone.returncode == 1 and "no connection to" in gone.stderr
    bad = get("someone/else", HTTP_PROXY="nonsense://user:password@" + server.rpartition("/")[2])
    assert bad.returncode == 1
    for run in (done, direct, gone, bad):
        assert "password" not in run.stdout + run.stderr
        assert "Traceback" not in run.stderr


@pytest.mark.parametrize("token", [TOKEN + "\u00e9", TOKEN + "\x01", f"{TOKEN} {TOKEN}"])
def test_an_impossible_token_is_not_repeated(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    message = refused("someone/tiny")
    assert "HF_TOKEN holds characters that no token has" in message and "Secret" not in message
    assert hub.asked == []


@pytest.mark.parametrize("status", [401, 404, 418, 429, 500])
def test_a_token_is_not_printed_where_the_hub_repeats_it(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.refusals = [(status, {"X-Error-Message": TOKEN, "X-Error-Code": TOKEN})] * 9
    said: list[str] = []
    with pytest.raises(CheckpointError) as caught:
        find_model("someone/tiny", said.append)
    shown = capfd.readouterr()
    assert TOKEN not in "".join([str(caught.value), *said, shown.out, shown.err])
    assert hub.headers[0]["Authorization"] == f"Bearer {TOKEN}"


def test_a_token_in_an_error_of_the_network_is_blotted_out(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "ENDPOINT", f"http://user:password@127.0.0.1:1/{TOKEN}")
    message = refused("someone/tiny")
    assert "no connection to http://***@127.0.0.1:1/***" in message


def test_a_token_goes_to_the_hub_alone(
    hub: Hub, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serving(Hub()) as store:
        store.add("someone/tiny", tiny_model)
        hub.elsewhere = store.address
        find_model("someone/tiny")
        assert store.fetched() == ["model.safetensors"]
        assert not any(headers["Authorization"] for headers in store.headers)
    assert all(headers["Authorization"] == f"Bearer {TOKEN}" for headers in hub.headers)


@pytest.mark.parametrize(
    "endpoint", ["nonsense", "http://[", "http://127.0.0.1:nine", "ftp://x", "http://"]
)
def test_an_endpoint_that_is_not_an_address_is_one_line(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, endpoint: str
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    assert "could not be downloaded" in refused("someone/tiny")


def test_a_library_is_tagged_with_a_model_of_the_hub_and_again_without_it(
    run: Run, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    song = LIBRARY / "02 Quiet Fugue.flac"
    command = (song, "--model", "someone/tiny", "--csv", "-")
    with serving(Hub()) as hub:
        hub.add("someone/tiny", tiny_model)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        first = run(*command, env_online=True)
        assert first.returncode == 0, first.stderr
        assert "downloading someone/tiny from the Hugging Face hub" in first.stderr
        missing = run(song, "--model", "someone/else", "--csv", "-", env_online=True)
        assert missing.returncode == 1
        assert missing.stderr.splitlines()[-1].startswith("tag-genres: someone/else could not be")
    again = run(*command, env_online=True)
    assert again.returncode == 0, again.stderr
    assert "downloading" not in again.stderr
    assert again.stdout == first.stdout
    assert COMMIT in first.stdout


def test_a_model_on_disk_is_shown_without_a_request(hub: Hub, cache: Path) -> None:
    labels = find_model("someone/tiny").labels
    hub.asked.clear()
    run = CliRunner().invoke(main, ["models", "show", "someone/tiny"])
    assert run.exit_code == 0, run.output
    text = " ".join(run.stdout.split())
    assert f"labels: {len(labels)}, of which {len(labels)} are genres" in text
    assert "--model someone/tiny" in text and "https://huggingface.co/someone/tiny" in text
    assert str(cache) in run.stdout and hub.asked == []
