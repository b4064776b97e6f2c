//! What a chart says of itself in its Chart.yaml, and whether Flux installs it as it is declared.

use std::fs::File;
use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde_json::Value;

use super::ChartSource;
use super::version_range;
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::yaml;

/// A Chart.yaml has some hundred lines.
const LARGEST: u64 = 1024 * 1024;

/// The version in the Chart.yaml of an archive that was checked; empty if it has none.
pub(super) fn own_version(archive: &Path, chart: &ChartSource) -> Result<String> {
    let unread = |error: &std::io::Error| {
        Failure::step(format!("cannot read the Chart.yaml of chart {chart}")).caused_by(error)
    };
    let text = metadata(archive).map_err(|error| unread(&error))?;
    let text = text.ok_or_else(|| {
        Failure::input(format!("chart {chart} has no Chart.yaml"))
            .hint("correct the chart's address in its source: this is no Helm chart")
    })?;
    let metadata: Value = yaml::from_str(&text, &PathBuf::from(format!("{chart}: Chart.yaml")))?;
    Ok(metadata["version"].as_str().unwrap_or_default().to_owned())
}

/// The text of `<chart>/Chart.yaml`: deeper ones are those of its dependencies.
fn metadata(archive: &Path) -> std::io::Result<Option<String>> {
    let mut archive = tar::Archive::new(MultiGzDecoder::new(File::open(archive)?));
    for entry in archive.entries()? {
        let entry = entry?;
        if is_metadata(&entry.path()?) {
            let mut bytes = Vec::new();
            entry.take(LARGEST).read_to_end(&mut bytes)?;
            return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
        }
    }
    Ok(None)
}

fn is_metadata(path: &Path) -> bool {
    let parts = path.components().filter(|part| *part != Component::CurDir);
    parts.count() == 2 && path.file_name().is_some_and(|name| name == "Chart.yaml")
}

/// Why Flux never installs the chart of an OCIRepository: its own version is no version, or differs from the
/// tag (`mutateChartWithSourceRevision` of helm-controller v1.6.3). A tag that is no version, and a digest, are
/// not compared.
pub(super) fn unfit(chart: &ChartSource, tag: Option<&str>, own: &str) -> Option<Failure> {
    let failure = || Failure::input(format!("chart {chart} can never be installed as it is declared"));
    let Some(version) = version_range::version(own) else {
        return Some(
            failure()
                .because(format!("`version: {own}` in its Chart.yaml is not a version, and Flux rejects it"))
                .hint("publish the chart with a semantic version (`1.2.3`)"),
        );
    };
    // A tag cannot contain the `+` of a version.
    let tag = tag?;
    let tagged = version_range::version(&tag.replace('_', "+"))?;
    (!tagged.cmp_precedence(&version).is_eq()).then(|| {
        failure()
            .because(format!("its tag is {tag}, but its Chart.yaml says version {own}: Flux accepts only equal ones"))
            .hint(format!("reference it by digest (`ref.digest`) instead of by tag, use another tag, or publish the chart with `version: {tag}`"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flux_installs_only_a_chart_whose_version_is_its_tag() {
        let chart = ChartSource::Oci { url: "oci://r.test/charts/c".into(), version: "1.2.0".into() };
        // The tag, the chart's own version, and a part of the reason for which it is refused.
        let table = [
            (Some("1.2.0"), "1.2.0", None),
            (Some("v1.2.0"), "1.2.0", None),
            (Some("1.2.0"), "v1.2.0", None),
            (Some("1.2"), "1.2.0", None),
            (Some("1.2.0_build.5"), "1.2.0+build.5", None),
            (Some("1.2.0_build.5"), "1.2.0+build.6", None),
            (Some("latest"), "1.2.0", None),
            (None, "1.2.0", None),
            (
                Some("1.2.0"),
                "1.2.0-rc.1",
                Some("its tag is 1.2.0, but its Chart.yaml says version 1.2.0-rc.1"),
            ),
            (Some("1.2.0"), "1.2.1", Some("version 1.2.1")),
            (Some("1.2.0-rc.1"), "1.2.0", Some("version 1.2.0")),
            (Some("1.2.0"), "0.0.0", Some("version 0.0.0")),
            (None, "main", Some("`version: main`")),
            (None, "", Some("is not a version")),
        ];
        for (tag, own, expected) in table {
            let refused = unfit(&chart, tag, own).map(|failure| failure.because.join(" "));
            match (&refused, expected) {
                (None, None) => {}
                (Some(why), Some(expected)) => assert!(why.contains(expected), "{tag:?} {own}: {why}"),
                _ => panic!("{tag:?} {own}: {refused:?}"),
            }
        }
    }

    #[test]
    fn the_version_is_that_of_the_chart_and_not_of_a_dependency() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("c.tgz");
        let packed = flate2::write::GzEncoder::new(File::create(&file).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(packed);
        for (name, text) in [
            ("c/charts/d/Chart.yaml", "name: d\nversion: 9.9.9\n"),
            ("./c/Chart.yaml", "name: c\nversion: 1.0.0\n"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o644);
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, name, text.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        let chart = ChartSource::Oci { url: "oci://r.test/c".into(), version: "1.0.0".into() };
        assert_eq!(own_version(&file, &chart).unwrap(), "1.0.0");
    }
}
