//! What a play of the gallery came to, as a page.

use std::fmt::Write as _;

use crate::gallery::play::Outcome;
use crate::gallery::scene::Scene;

/// The first line of the page: how many, and how quickly.
pub(crate) fn sum(outcomes: &[Outcome]) -> String {
    let (wrong, well): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.scene.code.is_some());
    let good = |outcomes: &[&Outcome]| outcomes.iter().filter(|outcome| outcome.problem.is_none()).count();
    let mut seconds: Vec<f64> = wrong.iter().map(|outcome| outcome.seconds).collect();
    seconds.sort_by(f64::total_cmp);
    let (median, worst) = (seconds.get(seconds.len() / 2), seconds.last());
    format!(
        "{} of {} failures: right cause on the first line, half of them within {:.1} s, all within {:.0} s. \
         {} of {} healthy scenes: no alarm.",
        good(&wrong),
        wrong.len(),
        median.unwrap_or(&0.0),
        worst.unwrap_or(&0.0).ceil(),
        good(&well),
        well.len()
    )
}

pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "# The gallery\n\n\
        Each failure was reproduced on the control plane of a [sandbox](../design/sandbox.md) and diagnosed by `bootstrapper doctor`; each healthy scene was \
        diagnosed from start to end. `GALLERY_WRITE=1 cargo test --test cluster gallery::` generates this table.\n\n\
        {}\n\n\
        Seconds run from the first object to the line, on a machine with 2 cores and ten scenes in parallel; before it: other causes that were on the first line earlier. \
        In scenes marked *simulated*, the test writes what the real component would write.\n",
        sum(outcomes)
    );
    let (wrong, well): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|outcome| outcome.scene.code.is_some());
    text.push_str(
        "\n| failure | named | first line | seconds | before it | |\n| --- | --- | --- | --- | --- | --- |\n",
    );
    for outcome in &wrong {
        let Scene { what, told, code, says, .. } = &outcome.scene;
        let code = code.as_deref().unwrap_or_default();
        let named = if outcome.problem.is_none() { page(code) } else { "no".into() };
        let told = told.as_ref().map_or(String::new(), |why| format!("simulated: {why}"));
        let mut before: Vec<&str> =
            outcome.alarms.iter().filter_map(|alarm| alarm.split(':').next()).collect();
        before.dedup();
        let before = before.into_iter().map(page).collect::<Vec<_>>().join(", ");
        let line = cell(says.as_deref().unwrap_or_default());
        let _ = writeln!(text, "| {what} | {named} | {line} | {:.0} | {before} | {told} |", outcome.seconds);
    }
    text.push_str("\n| healthy | alarms | said |\n| --- | --- | --- |\n");
    for outcome in &well {
        let alarms = if outcome.problem.is_none() { "none" } else { "yes" };
        let said = cell(outcome.scene.says.as_deref().unwrap_or_default());
        let _ = writeln!(text, "| {} | {alarms} | {said} |", outcome.scene.what);
    }
    text
}

fn page(code: &str) -> String {
    format!("[{code}]({code}.md)")
}

fn cell(line: &str) -> String {
    line.replace('|', "\\|").replace('*', "…").replace('<', "&lt;")
}
