"""newtest annotate serve, newtest annotate invite"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from newtest.cli.options import JsonFlag, StudyDir, note, print_json
from newtest.files import text_at

if TYPE_CHECKING:
    from newtest.study import Study

__all__ = ["invite", "serve"]


def serve(
    study: StudyDir = Path(),
    with_study: Annotated[
        list[Path] | None,
        typer.Option(
            "--with-study",
            metavar="DIR",
            help="Serve this study too, with one queue per person; may be repeated.",
        ),
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 8600,
    access_token: Annotated[
        str | None,
        typer.Option(
            "--access-token",
            envvar="NEWTEST_ACCESS_TOKEN",
            help="The owner's token; required unless --host is loopback.",
            show_default="a fresh one",
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="A host name people use, as behind a reverse proxy."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option(
            "--public-url", metavar="URL", help="Where people reach the server, as behind a reverse proxy."
        ),
    ] = None,
    trust_proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--trust-proxy",
            metavar="ADDRESS",
            help="Believe X-Forwarded-Proto and X-Forwarded-For of this proxy: https links, Secure cookies.",
        ),
    ] = None,
    recruit_study: Annotated[
        str | None, typer.Option("--recruit-study", metavar="ID", help="Let in people with this STUDY_ID.")
    ] = None,
    completion_code: Annotated[
        str | None,
        typer.Option(
            "--completion-code",
            metavar="CODE",
            help="The code that recruited people enter on their site when they are done.",
        ),
    ] = None,
    code_no_consent: Annotated[
        str | None,
        typer.Option("--code-no-consent", metavar="CODE", help="The code for people who do not consent."),
    ] = None,
    code_failed: Annotated[
        str | None,
        typer.Option(
            "--code-failed", metavar="CODE", help="The code for people who clearly failed on known images."
        ),
    ] = None,
    code_late: Annotated[
        str | None,
        typer.Option("--code-late", metavar="CODE", help="The code for people who found nothing left to do."),
    ] = None,
    introduction: Annotated[
        Path | None,
        typer.Option(
            "--introduction", metavar="FILE", help="Show this Markdown first and ask for consent to it."
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            "--training",
            metavar="FILE",
            help="Begin with a practice: a TOML file of images with explained answers.",
        ),
    ] = None,
    minutes: Annotated[
        int | None, typer.Option("--minutes", min=1, help="Say on arrival how long it takes.")
    ] = None,
    pay_text: Annotated[
        str, typer.Option("--pay", metavar="TEXT", help="Say on arrival what is paid, in the site's terms.")
    ] = "",
    recruit_hits: Annotated[
        int, typer.Option("--recruit-hits", min=1, help="HITs per recruited person.")
    ] = 1,
    max_cost: Annotated[
        str | None,
        typer.Option(
            "--max-cost",
            metavar="DOLLARS",
            help="Refuse to extend or open HITs when all that is open, owed and paid would cost more.",
        ),
    ] = None,
    balance: Annotated[
        str, typer.Option("--balance", metavar="DOLLARS", help="What GetAccountBalance starts from.")
    ] = "10000.00",
    language: Annotated[
        str,
        typer.Option(
            "--language", metavar="LANG", help="Language of workers' pages: en, ar, de, es, fr, ja, zh."
        ),
    ] = "en",
    class_names: Annotated[
        Path | None,
        typer.Option(
            "--class-names",
            metavar="FILE",
            help="Names of the classes in that language: JSON (wnid -> names), or Open Multilingual WordNet.",
        ),
    ] = None,
    must_see: Annotated[
        bool,
        typer.Option("--must-see/--may-skip", help="Take an answer only when every image has been in view."),
    ] = True,
    allow_image_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-image-host",
            metavar="HOST",
            help="Let requesters' pages show pictures from this exact host.",
        ),
    ] = None,
    allow_script_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-script-host",
            metavar="HOST",
            help="Let requesters' pages load scripts, style sheets and fonts from this exact host.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show HITs to people, with an owner's page and MTurk's requester protocol, until Ctrl-C.

    Example: newtest annotate serve --study goldfish --port 8600
    """
    from urllib.parse import urlencode

    from newtest.catalog import transaction
    from newtest.catalog.owner import set_server_address
    from newtest.cli.markets import dollars
    from newtest.crowd.class_names import read_class_names
    from newtest.crowd.languages import language as spoken_language
    from newtest.crowd.questions import Wording
    from newtest.crowd.requester.hosts import AllowedHosts, exact_hosts
    from newtest.crowd.server.app import crowd_app
    from newtest.crowd.server.protocol import ACCESS_KEY
    from newtest.crowd.server.settings import Recruiting, ServerConfig
    from newtest.crowd.training import read_training
    from newtest.errors import UsageError
    from newtest.web.access import check_host, is_loopback
    from newtest.web.serving import listen, run

    if (recruit_study is None) != (completion_code is None):
        raise UsageError("--recruit-study and --completion-code go together")
    token = check_host(host, access_token)
    spoken = spoken_language(language)
    config = ServerConfig(
        wording=Wording(spoken.tag, read_class_names(class_names) if class_names else {}, must_see),
        access_token=token,
        training=None if training is None else read_training(training),
        balance=dollars("--balance", balance),
        max_cost=None if max_cost is None else dollars("--max-cost", max_cost),
        recruiting=Recruiting(
            recruit_study,
            completion_code,
            recruit_hits,
            no_consent_code=code_no_consent,
            failed_code=code_failed,
            late_code=code_late,
            introduction=None if introduction is None else _markdown(introduction),
            minutes=minutes,
            pay=pay_text,
        )
        if recruit_study and completion_code
        else None,
        allowed=AllowedHosts(
            exact_hosts("--allow-image-host", allow_image_host or []),
            exact_hosts("--allow-script-host", allow_script_host or []),
        ),
        public_hosts=(host, *(names or ()), *([public_host(public_url)] if public_url else [])),
    )
    with ExitStack() as stack:
        opened, *beside = (_served(stack, root) for root in distinct(study, with_study or ()))
        listener = listen(host, port)
        url = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
        reached = public_url.rstrip("/") if public_url else url
        for one in (opened, *beside):
            with transaction(one.catalog):
                set_server_address(one.catalog, reached)
        owner = f"{reached}/owner/?{urlencode({'token': token})}"
        note(f"owner's page    {owner}")
        note(f"MTurk protocol  {url}  AWS_ACCESS_KEY_ID={ACCESS_KEY}, AWS_SECRET_ACCESS_KEY is the token")
        if json:
            print_json({"url": url, "owner": owner, "access_key": ACCESS_KEY, "token": token})
        if not is_loopback(host):
            note(
                f"names           requests are answered under {', '.join(config.public_hosts)}; add others with --name"
            )
        note("people          newtest annotate invite NAME... prints their links; Ctrl-C ends the server")
        run(crowd_app(opened, config, beside=beside), listener, proxies=trust_proxy or ())


def distinct(first: Path, others: Iterable[Path]) -> list[Path]:
    """The studies to serve. Raises UsageError for one that is named twice."""
    from newtest.errors import UsageError

    found: list[Path] = []
    for root in (first, *others):
        if root.resolve() in (known.resolve() for known in found):
            raise UsageError(f"--with-study: {root} is named twice")
        found.append(root)
    return found


def _served(stack: ExitStack, root: Path) -> Study:
    from newtest.study import Study

    opened = stack.enter_context(Study(root))
    stack.enter_context(opened.exclusive("annotate-serve"))
    return opened


def public_host(url: str) -> str:
    """The host name in --public-url. Raises UsageError."""
    from urllib.parse import urlsplit

    from newtest.errors import UsageError

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise UsageError(f"--public-url: {url!r} is not an address such as https://crowd.example.org")
    return parts.hostname


def _markdown(path: Path) -> str:
    """The owner's text. Raises UsageError."""
    from newtest.errors import UsageError

    try:
        text = text_at(path, "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: not a readable text ({error})") from error
    if not text.strip():
        raise UsageError(f"{path}: there is nothing in it to agree to")
    return text


def invite(
    people: Annotated[list[str], typer.Argument(metavar="NAME...", help="Your own names for the people.")],
    study: StudyDir = Path(),
    url: Annotated[
        str | None,
        typer.Option("--url", help="Where the server is reached.", show_default="where it was started last"),
    ] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take these people's links back.")] = False,
    json: JsonFlag = False,
) -> None:
    """Print a personal link for each name; the same name keeps its link until it is revoked.

    Example: newtest annotate invite ann bea --study goldfish
    """
    from newtest.catalog import transaction, workers
    from newtest.catalog.owner import server_address
    from newtest.crowd import links
    from newtest.crowd.server.app import crowd_keys
    from newtest.study import Study, now

    rows: list[tuple[str, str]] = []
    with Study(study) as opened, transaction(opened.catalog):
        known = url or server_address(opened.catalog)
        reached = (known or "http://127.0.0.1:8600").rstrip("/")
        for person in people:
            if revoke:
                link = workers.active_link(opened.catalog, opened.worker_key(f"invited:{person.strip()}"))
                done = link is not None and workers.revoke_link(opened.catalog, link.link_id, at=now())
                rows.append((person, "revoked" if done else "had no link"))
            else:
                token = links.invite(opened.catalog, crowd_keys(opened), opened.worker_key, person)
                rows.append((person, f"{reached}/work/{token}/"))
    if known is None and not revoke:
        note("no server of this study was started yet: the links take its usual address; --url gives another")
    if json:
        print_json(dict(rows))
    else:
        for person, link_or_word in rows:
            typer.echo(f"{person}\t{link_or_word}")
