"""Exports on a hub of models: pushed by one line, fetched by their name."""

import re
from pathlib import Path
from typing import Any

from tasd.backbones.timm_weights import check_reachable, hub_address
from tasd.errors import UserError
from tasd.predict.card import CARD, name_in_card
from tasd.predict.export import CONFIG, WEIGHTS, is_export
from tasd.predict.onnx import ONNX
from tasd.runs.tracker import reason

FILES = (WEIGHTS, CONFIG, CARD, ONNX)  # nothing else of a folder is pushed
_TOKEN = re.compile(r"\bhf_\w{4,}")
_REPO = re.compile(r"[\w.-]+(/[\w.-]+)?")
WAYS_OUT = {
    401: "log in with hf auth login, or set HF_TOKEN",
    403: "take a token that may write there, or another name",
    404: "check its name; a private one needs hf auth login, or HF_TOKEN",
}


def push(folder: Path, repo: str, *, private: bool = False) -> str:
    """Push an export to a repository, which is made where there is none; return its address.

    private: of a new repository. Raises `UserError`.
    """
    check_repo(repo)
    if not is_export(folder):
        raise UserError(f"{folder} is no export; write one with tasd export RUN --out {folder}")
    api = _library().HfApi(endpoint=hub_address(), library_name="tasd")
    name_in_card(folder, repo)
    try:
        check_reachable(hub_address())  # the hub's own client tries for half a minute
        made = api.create_repo(repo, private=private or None, exist_ok=True)
        api.upload_folder(
            repo_id=made.repo_id,
            folder_path=folder,
            allow_patterns=list(FILES),
            commit_message="Export of tasd",
        )
    except Exception as error:
        again = f"then tasd export {folder} --push {repo}"
        raise _told(error, f"cannot push {folder} to {repo}", again=again) from None
    return str(made)


def fetch(repo: str, *, revision: str | None = None) -> Path:
    """Return the folder of an export in the hub's cache, downloaded where it is not there.

    Without a connection it is the one in the cache. The weights are fetched only where the config
    is of an export. Raises `UserError`.
    """
    check_repo(repo)
    download = _library().hf_hub_download
    options: dict[str, Any] = {"endpoint": hub_address(), "library_name": "tasd"}
    away = ""
    try:
        check_reachable(hub_address())
    except OSError as error:
        options["local_files_only"], away = True, str(error)
    try:
        folder = Path(download(repo, CONFIG, revision=revision, **options)).parent
        if is_export(folder):  # its name is the commit: both files are of one
            download(repo, WEIGHTS, revision=folder.name, **options)
    except Exception as error:
        raise _told(OSError(away) if away else error, f"cannot fetch {repo}") from None
    if not is_export(folder):
        raise UserError(
            f"{repo} is no export of tasd ({CONFIG} says so); name one that tasd export --push made"
        )
    return folder


def check_repo(repo: str) -> None:
    """Raise `UserError` for a name that no repository can have."""
    if not _REPO.fullmatch(repo):
        raise UserError(f"{repo!r} is neither a folder nor NAME/MODEL of a hub; give one of them")


def _told(error: Exception, what: str, *, again: str = "") -> UserError:
    """Return an error of the hub as one line without a token."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    way_out = WAYS_OUT.get(status or 0, "check the network, or HF_ENDPOINT")
    told = f"{reason(error)} {reason(error.__cause__)}" if error.__cause__ else reason(error)
    text = _TOKEN.sub("hf_...", told)
    token = _library().get_token()
    if token:
        text = text.replace(token, "...")
    return UserError(f"{what} ({text}); {way_out}" + (f", {again}" if again else ""))


def _library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise UserError(
            "the package huggingface_hub is not installed; pip install -c constraints.txt "
            "huggingface_hub, or give a folder"
        ) from None
    return huggingface_hub
