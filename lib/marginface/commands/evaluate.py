"""marginface evaluate: what a network is worth on pairs, or on a folder of people."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marginface.commands import options

if TYPE_CHECKING:
    from marginface.evaluation.people import PeopleReport
    from marginface.evaluation.reports import PairReport
    from marginface.training.enrolment import Compared

EXAMPLE = """\b
Examples:
  marginface evaluate runs/mine/best.pt --pairs pairs.txt --images lfw/
  marginface evaluate runs/mine/best.pt --pairs lfw.bin --json
  marginface evaluate net.onnx --people others/ --plot curves.png
"""


@click.command(epilog=EXAMPLE, short_help="Test a network on other people.")
@options.checkpoint
@options.tested_on
@options.find_faces
@options.device
@options.as_json
@click.option("--plot", type=options.PATH, metavar="FILE", help="Draw ROC and DET (.png, .svg, .pdf).")
def evaluate(
    checkpoint: Path,
    pairs: Path | None,
    images: Path | None,
    people: Path | None,
    find: bool,
    device: str,
    as_json: bool,
    plot: Path | None,
) -> None:
    """Test a network on people that it was not trained on.

    CHECKPOINT is a checkpoint (.pt) or an exported network (.onnx, .safetensors); it knows how its images have to be. With
    --pairs: accuracy by folds, AUC, EER, and TAR at FARs. With --people: all pairs, templates, identification, open-set search.
    Intervals are of 95 %, over people drawn anew where it is known who is who.
    """
    from marginface.data.files import printable, writing
    from marginface.data.progress import Meter
    from marginface.evaluation.charts import kind_of, roc_and_det
    from marginface.evaluation.people import people_report
    from marginface.evaluation.reports import RESAMPLES, report
    from marginface.training import enrolment

    options.check_source(pairs, images, people, find)
    kind = "" if plot is None else kind_of(plot)
    network = options.load(checkpoint, device)
    options.warn_of(network, options.source_of(pairs, images, people), find)
    found: PairReport | PeopleReport
    if pairs is not None:
        compared = enrolment.compare_pairs(network, pairs, images, find)
        with Meter("resampling", RESAMPLES) as meter:
            found = report(
                compared.scores,
                compared.same,
                compared.left,
                compared.right,
                folds=compared.fold,
                failed=compared.failed,
                progress=meter.update,
            )
    else:
        assert people is not None
        compared, enrolled, who = enrolment.compare_people(network, people, find)
        with Meter("resampling", 2 * RESAMPLES) as meter:
            found = people_report(enrolled.embeddings, who, progress=meter.update)
    if plot is not None:
        plot.parent.mkdir(parents=True, exist_ok=True)
        with writing(plot) as file:
            roc_and_det(compared.scores, compared.same, file, kind, f"{printable(checkpoint.name)} on {compared.label}")
    if as_json:
        options.tell_json(
            {"network": network.card.label, "tested on": compared.label, "failures": compared.failures, "report": found}
        )
        return
    options.tell_failures(compared.failures)
    _tell(found, compared)


def _tell(found: "PairReport | PeopleReport", compared: "Compared") -> None:
    from marginface.evaluation.people import PeopleReport

    if not isinstance(found, PeopleReport):
        click.echo(compared.label)
        _tell_pairs(found)
        return
    click.echo(f"{compared.label}: {found.images:,} images of {found.people:,} people")
    click.echo("every two images:")
    _tell_pairs(found.pairs)
    if found.templates is not None:
        click.echo("every two templates of half of a person's images:")
        _tell_pairs(found.templates)
    click.echo("identification, a gallery of each person's first image:")
    for k, share in found.ranks.items():
        click.echo(f"  rank {k:<14} {100 * share:6.2f} %")
    if found.searches:
        click.echo("open-set search in two galleries kept apart, templates of half of a person's images:")
    for fpir, share in found.searches.items():
        click.echo(f"  TPIR at FPIR {fpir:<6g} {100 * share:6.2f} %")


def _tell_pairs(found: "PairReport") -> None:
    over = f"{found.people:,} people" if found.people else "pairs, for nobody knows who is who"
    of = ", drawn at random from more" if found.sampled else ""
    click.echo(f"  {found.genuine:,} pairs of one person, {found.impostors:,} of two{of}; intervals over {over}")
    if found.failed:
        click.echo(f"  {found.failed:,} pairs failed to enrol, and count as not the same")
    _tell_accuracy(found)
    click.echo(f"  AUC                 {options.percent(found.auc)}")
    click.echo(f"  EER                 {options.percent(found.eer)}")
    for point in found.points:
        if point.let_through:
            threshold = f"from a score of {point.threshold.value:.4f} on; {point.let_through:,} impostor pairs let through"
            click.echo(f"  TAR at FAR {point.far:<8g} {options.percent(point.tar)}  {threshold}")
        else:
            click.echo(f"  FAR {point.far:g} means nothing here: it takes {point.needed:,} impostor pairs")
            break


def _tell_accuracy(found: "PairReport") -> None:
    rejected = found.impostors / (found.genuine + found.impostors)
    if found.accuracy is None:
        click.echo(f"  no accuracy, which takes more pairs or people: {found.no_accuracy}")
    elif 0.2 <= rejected <= 0.8:
        std = f"±{100 * found.accuracy_std:.2f} between {found.folds} folds"
        click.echo(f"  accuracy            {options.percent(found.accuracy)}  {std}")
    else:
        what, share = ("two people", rejected) if rejected > 0.5 else ("one person", 1 - rejected)
        click.echo(f"  no accuracy: who takes every pair for {what} is right in {100 * share:.2f} % of cases")
