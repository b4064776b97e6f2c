//! The page of a run in a headless Chromium: on a desktop and on a phone, dark and light. Where there is no
//! Chromium, the test is reported as ignored, with what is missing.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::path::Path;
use std::process::Command;

use bootstrapper_report::timeline::{Timeline, page};
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

/// Names of Chromium.
const BROWSERS: [&str; 5] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "headless_shell"];

/// The timeline of the recorded run that the crate's own tests compare.
const RECORDED: &str =
    include_str!("../src/timeline/tests/snapshots/bootstrapper_report__timeline__tests__a_run_as_json.snap");

fn main() {
    let arguments = Arguments::from_args();
    let found =
        |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|run| run.status.success());
    let browser = BROWSERS.into_iter().find(found);
    let trial = Trial::test("shows_all_bars_on_a_desktop_and_a_phone_dark_and_light", move || {
        shows_all_bars(browser.ok_or("no Chromium was found")?)
    });
    let missing = if browser.is_some() { "" } else { "no Chromium was found; apt-get install chromium" };
    let trial = trial.with_kind(missing).with_ignored_flag(browser.is_none());
    libtest_mimic::run(&arguments, vec![trial]).exit();
}

fn shows_all_bars(browser: &str) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (profile, frame) = (folder.path().join("profile"), folder.path().join("frame.html"));
    let timeline: Timeline = serde_json::from_str(RECORDED.splitn(3, "---\n").last().unwrap())?;
    let steps = timeline.stages.iter().flat_map(|stage| &stage.steps);
    let bars = steps.map(|step| step.phases.len() + step.retries.len()).sum::<usize>();
    std::fs::write(folder.path().join("page.html"), page(&timeline))?;
    for width in [360, 1280] {
        std::fs::write(&frame, measuring(width))?;
        for (scheme, back) in [("0", "rgb(20, 23, 27)"), ("1", "rgb(255, 255, 255)")] {
            let expected = json!({
                "width": width, "bars": bars, "outside": 0, "loaded": 0, "back": back, "scripts": 0,
            });
            assert_eq!(measured(browser, &profile, &frame, scheme), expected, "{width} {scheme}");
        }
    }
    Ok(())
}

/// A page that measures the other one in a frame of this width; that one runs no script.
fn measuring(width: u32) -> String {
    format!(
        "<!doctype html><iframe src=\"page.html\" style=\"width:{width}px;height:600px;border:0\"></iframe><script>
onload = () => {{
  const page = document.querySelector('iframe').contentDocument, view = page.defaultView;
  const root = page.documentElement;
  const bars = [...page.querySelectorAll('.step .bar')].map(bar => bar.getBoundingClientRect());
  document.title = JSON.stringify({{
    width: root.scrollWidth,
    bars: bars.filter(bar => bar.width > 0 && bar.height > 0).length,
    outside: bars.filter(bar => bar.left < 0 || bar.right > root.clientWidth + 3).length,
    loaded: view.performance.getEntriesByType('resource').length,
    back: view.getComputedStyle(page.body).backgroundColor,
    scripts: page.scripts.length,
  }});
}};
</script>"
    )
}

/// What the page `frame` measures, for users who prefer a scheme.
fn measured(browser: &str, profile: &Path, frame: &Path, scheme: &str) -> Value {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--dump-dom", "--allow-file-access-from-files", "--virtual-time-budget=2000"])
        .arg(format!("--blink-settings=preferredColorScheme={scheme}"))
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("file://{}", frame.display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let dom = String::from_utf8(output.stdout).unwrap();
    let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next());
    serde_json::from_str(title.expect(&dom)).unwrap()
}
