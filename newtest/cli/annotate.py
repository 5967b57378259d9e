"""newtest annotate plan, newtest annotate preview, and the list of the other annotate commands"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import typer

from newtest.cli import annotate_design, annotate_market, annotate_people, annotate_prolific, annotate_serve
from newtest.cli.annotate_planned import nothing_new, plan_rows
from newtest.cli.options import JsonFlag, StudyDir, choice, note, own_file, print_json, print_table
from newtest.cli.second_labels import Classes, Near, Predictions, Proposals, SecondLabels, Top, propose

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Ask people: plan HITs, show them, publish, collect, pay.")


@app.command(short_help="Make HITs for the images that lack votes.")
def plan(
    study: StudyDir = Path(),
    images: Annotated[int, typer.Option("--images", min=1, help="Images per HIT, controls included.")] = 48,
    positive: Annotated[int, typer.Option("--positive", min=0, help="Positive controls per HIT.")] = 3,
    negative: Annotated[int, typer.Option("--negative", min=0, help="Negative controls per HIT.")] = 3,
    checks: Annotated[
        int,
        typer.Option("--checks", min=0, help='Attention checks per HIT: images that say "select this one".'),
    ] = 0,
    ask: Annotated[
        str,
        typer.Option(
            "--ask",
            metavar="select|which|pairs",
            help="Ask which images show the class, which of several classes each shows, or which pairs are one photo.",
        ),
    ] = "select",
    options: Annotated[
        int, typer.Option("--options", min=2, help="Classes to choose from, with --ask which.")
    ] = 5,
    assignments: Annotated[int, typer.Option("--assignments", min=1, help="People per HIT.")] = 10,
    votes: Annotated[
        int | None,
        typer.Option(
            "--votes", min=1, help="Votes that an image should have.", show_default="as --assignments"
        ),
    ] = None,
    fill: Annotated[
        str, typer.Option("--fill", metavar="controls|candidates", help="What fills a short HIT first.")
    ] = "controls",
    examples: Annotated[int, typer.Option("--examples", min=0, help="Example images per page.")] = 3,
    min_control_frequency: Annotated[
        float,
        typer.Option("--min-control-frequency", min=0, max=1, help="Least frequency of a positive control."),
    ] = 0.7,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", metavar="WNID", help="Only this class; may be repeated.", show_default="all"),
    ] = None,
    similar: Annotated[
        Path | None,
        typer.Option(
            "--similar",
            metavar="FILE",
            help="JSON: wnid -> nearest wnids.",
            show_default="WordNet path similarity",
        ),
    ] = None,
    pages: Annotated[
        Path | None, typer.Option("--pages", metavar="FILE", help="JSON: wnid -> encyclopedia page.")
    ] = None,
    max_hits: Annotated[
        int | None, typer.Option("--max-hits", min=1, help="Plan no more HITs than this.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Seed of every draw.")] = 0,
    reward: Annotated[
        str | None,
        typer.Option(
            "--reward",
            metavar="DOLLARS",
            help="Set the reward per assignment of all HITs that are not published.",
            show_default="the last plan's, else 0.10",
        ),
    ] = None,
    min_hourly: Annotated[
        str | None,
        typer.Option(
            "--min-hourly", metavar="DOLLARS", help="Warn when people earn less than this per hour."
        ),
    ] = None,
    market: Annotated[
        str, typer.Option("--market", metavar="local|mturk", help="Whose fees to add.")
    ] = "local",
    pace: Annotated[
        float, typer.Option("--seconds-per-image", min=0.01, help="The pace that hours are estimated with.")
    ] = 1.5,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="DOLLARS", help="Print what is left of this amount.")
    ] = None,
    second_labels: SecondLabels = None,
    predictions: Predictions = None,
    model_classes: Classes = None,
    near_classes: Near = 0,
    proposals: Proposals = None,
    proposals_of: Top = (5, 2, 5),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and keep nothing.")] = False,
    json: JsonFlag = False,
) -> None:
    """Make HITs for the images that lack votes, and say what they will cost.

    Example: newtest annotate plan --study goldfish --assignments 10 --reward 0.10
    """
    from newtest.catalog import crowd, transaction
    from newtest.catalog.money import last_plan
    from newtest.cli.markets import dollars
    from newtest.crowd.costs import CostConfig, plan_cost, split_saving
    from newtest.crowd.hits import PlanConfig
    from newtest.crowd.planning import make_plan, read_pages, read_similar, store_plan, wordnet_similar
    from newtest.study import Study

    kind: Literal["select", "which", "pairs"] = choice("--ask", ask, ("select", "which", "pairs"))
    filling: Literal["controls", "candidates"] = choice("--fill", fill, ("controls", "candidates"))
    payer: Literal["local", "mturk"] = choice("--market", market, ("local", "mturk"))
    with Study(study) as opened:
        before = last_plan(opened.catalog)
        amount = dollars("--reward", reward or before.get("reward") or "0.10")
        least = min_hourly or before.get("min_hourly")
        config = PlanConfig(
            images=images,
            positive=positive,
            negative=negative,
            checks=checks,
            ask=kind,
            options=options,
            assignments=assignments,
            min_control_frequency=min_control_frequency,
            fill=filling,
            examples=examples,
            seed=seed,
            reward=f"{amount:.2f}",
            min_hourly=None if least is None else f"{dollars('--min-hourly', least):.2f}",
        )
        costs = CostConfig(amount, payer, pace)
        sources = (predictions, model_classes, near_classes, similar, proposals)
        propose(opened, second_labels or [], sources, proposals_of, dry_run=dry_run)
        near = read_similar(similar) if similar else wordnet_similar(opened.catalog)
        if pages is not None and not dry_run:
            table = read_pages(pages)
            with transaction(opened.catalog):
                crowd.set_class_pages(opened.catalog, table)
        made = make_plan(opened.catalog, config, near, votes=votes, wnids=classes, max_hits=max_hits)
        stored = 0 if dry_run else store_plan(opened, made)
    for warning in made.warnings:
        note(f"warning: {warning}")
    cost = plan_cost(made.hits, costs)
    rest = None if budget is None else dollars("--budget", budget) - cost.total
    if json:
        print_json(
            {
                **cost.__dict__,
                "total": cost.total,
                "stored": stored,
                "images_left": made.left,
                "images_without_bytes": made.without_bytes,
                "budget_left": rest,
            }
        )
        return
    print_table(["", ""], plan_rows(made, cost, costs.seconds_per_image))
    lacking = "pairs" if config.ask == "pairs" else "images"
    note(f"{lacking} that lack votes and are in no HIT: {made.left + made.without_bytes:,}")
    if made.without_bytes:
        note(
            f"  {made.without_bytes:,} of them have no bytes, so nobody can be shown them: newtest fetch gets them"
        )
    if (saved := split_saving(made.hits, costs)) > 0:
        note(
            f"MTurk doubles its fee from ten assignments per HIT on: nine and the rest apart would save ${saved}"
        )
    if config.min_hourly and cost.hits and cost.hourly < Decimal(config.min_hourly):
        note(f"warning: at that pace a worker earns ${cost.hourly} per hour, less than ${config.min_hourly}")
    if rest is not None:
        note(f"left of the budget: ${rest}")
    note(
        "dry run: nothing was kept"
        if dry_run
        else f"{stored} HITs kept; next: newtest annotate publish --to local"
        if stored
        else nothing_new(config.ask)
    )


@app.command(short_help="Check a template and show what workers would see.")
def preview(
    study: StudyDir = Path(),
    template: Annotated[
        str,
        typer.Option("--template", metavar="NAME|FILE", help="One of newtest's templates, or your own file."),
    ] = "select_images",
    hit: Annotated[
        str | None,
        typer.Option("--hit", metavar="ID", help="Show this planned HIT.", show_default="drawn tiles"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the page and do not serve it.", callback=own_file),
    ] = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = 0,
    language: Annotated[
        str,
        typer.Option(
            "--language", metavar="LANG", help="Language of the template: en, ar, de, es, fr, ja, zh."
        ),
    ] = "en",
    allow_image_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-image-host", metavar="HOST", help="Let an MTurk page show pictures from this host."
        ),
    ] = None,
    allow_script_host: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-script-host",
            metavar="HOST",
            help="Let an MTurk page load scripts and styles from this host.",
        ),
    ] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open it in the browser.")] = True,
    json: JsonFlag = False,
) -> None:
    """Check a template, or a page made for MTurk, and show what workers would see.

    A file without newtest's placeholders is taken for a page made for MTurk, and refused as CreateHIT would refuse it.

    Example: newtest annotate preview --template mine.html
    """
    from dataclasses import replace

    from newtest.catalog.asked import asked_of
    from newtest.crowd.languages import language as spoken_language
    from newtest.crowd.local import checked_template, planned_template
    from newtest.crowd.preview import drawn_page, preview_app, requester_preview, study_page, template_preview
    from newtest.crowd.requester.hosts import AllowedHosts, exact_hosts
    from newtest.crowd.server.app import crowd_keys
    from newtest.crowd.server.worker_images import Pictures
    from newtest.crowd.templates import is_requester_page, load_template
    from newtest.errors import UsageError
    from newtest.outputs import write_made
    from newtest.study import Study
    from newtest.web.serving import listen, run

    allowed = AllowedHosts(
        exact_hosts("--allow-image-host", allow_image_host or []),
        exact_hosts("--allow-script-host", allow_script_host or []),
    )
    if is_requester_page(text := load_template(template)):
        if hit is not None:
            raise UsageError(f"{template} is a page made for MTurk: it cannot show a planned HIT (--hit)")
        shown = requester_preview(template, text, allowed)
        note("a page made for MTurk: it has none of newtest's placeholders")
    else:
        text = checked_template(template)
        page = drawn_page()
        if hit is not None:
            with Study(study) as opened:
                text = planned_template(template, asked_of(opened.catalog, hit))
                page = study_page(opened, Pictures(opened.root, crowd_keys(opened)), hit)
        shown = template_preview(text, replace(page, language=spoken_language(language).tag))
    if out is not None:
        write_made(out, shown.html)
        note(f"written to {out}")
        if json:
            print_json({"out": str(out)})
        return
    listener = listen("127.0.0.1", port)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/?assignmentId=ASSIGNMENT_ID_NOT_AVAILABLE"
    note(f"{url}   (Ctrl-C ends the preview)")
    if json:
        print_json({"url": url})
    if browser:
        typer.launch(url)
    run(preview_app(shown), listener)


app.command("design", short_help="Compare designs by error and cost, before you pay.")(annotate_design.design)
app.command("serve", short_help="Show HITs to people, with a page for the owner.")(annotate_serve.serve)
app.command("invite", short_help="Print a personal link for each name.")(annotate_serve.invite)
app.command("publish", short_help="Open the planned HITs to workers.")(annotate_market.publish)
app.add_typer(annotate_prolific.app, name="prolific")
app.command("people", short_help="List who came from a recruiting site.")(annotate_people.people)
app.command("forget", short_help="Delete who a person is.")(annotate_people.forget)
app.command("collect", short_help="Fetch what workers submitted and make votes of it.")(
    annotate_market.collect
)
app.command("pay", short_help="Propose which work to approve and which to reject.")(annotate_market.pay)
