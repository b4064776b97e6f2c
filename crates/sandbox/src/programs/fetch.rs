//! Downloads releases in parallel, each complete or not at all.

use std::path::{Path, PathBuf};

use futures::StreamExt as _;

use super::assets::Assets;
use super::download::Missed;
use super::layers::Wanted;
use super::progress::{Meter, Progress, Say};
use super::records::{Record, Records};
use super::sources::{Platform, Release, Source};
use super::{archive, image};
use bootstrapper_core::failure::{Failure, Result, Retry};
use bootstrapper_core::private::{Folder, secure};
use bootstrapper_tools::Environment;

/// How many downloads there are at once.
pub(super) const AT_ONCE: usize = 6;

/// Where downloads go.
pub(super) struct Target<'a> {
    /// The cache of the build list.
    pub(super) cache: &'a Path,
    pub(super) platform: Platform,
    /// Proxies and trusted CAs.
    pub(super) environment: &'a Environment,
}

/// A release, and the folder for its programs.
pub(super) type Placed<'a> = (&'a Release, PathBuf);

/// Downloads releases, and the assets if they are missing. Returns what was not available; fails if something is
/// not what it should be.
pub(super) async fn fetch(
    target: &Target<'_>,
    releases: &[Placed<'_>],
    with_assets: bool,
    say: Say<'_>,
) -> Result<Vec<Failure>> {
    let progress = Progress::new(say);
    let records = Records::beside(target.cache);
    let parts: Vec<(&Placed<'_>, Meter<'_>)> =
        releases.iter().map(|placed| (placed, progress.part(placed.0.name, placed.0.about_mib))).collect();
    let meters = if with_assets { Assets::meters(&progress) } else { Vec::new() };
    let assets = async {
        if with_assets { Assets::download(target.cache, target.environment, &meters).await } else { Ok(()) }
    };
    let programs = async {
        let all = parts.iter().map(|(placed, meter)| fetch_release(target, placed, &records, meter));
        let mut all = futures::stream::iter(all).buffer_unordered(AT_ONCE);
        let mut unavailable = Vec::new();
        while let Some(fetched) = all.next().await {
            match fetched {
                Ok(()) => {}
                Err(Missed::Wrong(failure)) => return Err(failure),
                Err(Missed::Unavailable(failure)) => {
                    // The module proxy may be reachable where the publishers are not.
                    let is_offline = failure.retry == Retry::MayHelp && !progress.has_received(parts.len());
                    unavailable.push(failure);
                    if is_offline {
                        break;
                    }
                }
            }
        }
        Ok(unavailable)
    };
    progress.begin();
    let (assets, programs) = tokio::join!(assets, programs);
    let mut unavailable = programs?;
    match assets {
        Ok(()) => {}
        Err(Missed::Wrong(failure)) => return Err(failure),
        Err(Missed::Unavailable(failure)) => unavailable.push(failure),
    }
    Ok(unavailable)
}

/// Downloads the programs of a release into the cache.
async fn fetch_release(
    target: &Target<'_>,
    (release, folder): &Placed<'_>,
    records: &Records,
    meter: &Meter<'_>,
) -> Result<(), Missed> {
    let failed = |error: &std::io::Error| {
        Missed::Wrong(Failure::step(format!("cannot store {}", release.name)).caused_by(error))
    };
    secure(folder).map_err(|error| failed(&error))?;
    let beside = Folder::within(folder).map_err(|error| failed(&error))?;
    let record = unpack(target, release, beside.path(), meter).await?;
    records.compare(release.name, target.platform, &record).map_err(Missed::Wrong)?;
    records.write(release.name, target.platform, &record).map_err(Missed::Wrong)?;
    for (name, _) in release.programs {
        let program = folder.join(name);
        record.write_beside(&program)?;
        archive::install(&beside.path().join(name), &program).map_err(|error| failed(&error))?;
    }
    meter.done();
    Ok(())
}

/// Writes the programs of a release into `folder`.
async fn unpack(
    target: &Target<'_>,
    release: &Release,
    folder: &Path,
    meter: &Meter<'_>,
) -> Result<Record, Missed> {
    let Target { platform, environment, .. } = *target;
    let version = release.version()?;
    let wanted = || -> Vec<Wanted> {
        let path = |within: &&str| Release::url(within, &version, platform);
        release.programs.iter().map(|(name, within)| Wanted::new(name, &path(within))).collect()
    };
    let url = |template: &str| Release::url(template, &version, platform);
    let (source, digest) = match release.source {
        Source::File { url: file, checksums } => {
            let (file, checksums) = (url(file), checksums.map(url));
            let to = folder.join(release.programs.first().map_or(release.name, |(name, _)| name));
            let digest = archive::fetch(&file, checksums.as_deref(), &to, environment, meter).await?;
            (file, digest)
        }
        Source::Archive { url: packed, checksums } => {
            let (packed, checksums) = (url(packed), checksums.map(url));
            let to = folder.join("archive");
            let digest = archive::fetch(&packed, checksums.as_deref(), &to, environment, meter).await?;
            let (from, wanted, into) = (packed.clone(), wanted(), folder.to_owned());
            let unpacked = tokio::task::spawn_blocking(move || archive::unpack(&from, &to, wanted, &into));
            unpacked
                .await
                .map_err(|error| Failure::internal("an archive was not unpacked").caused_by(&error))??;
            (packed, digest)
        }
        Source::Image { name, pinned } => {
            let digest = pinned.filter(|(of, _)| *of == version).map(|(_, digest)| digest);
            let reference = digest.unwrap_or(&version);
            let digest =
                image::unpack(name, reference, platform, wanted(), folder, environment, meter).await?;
            (format!("{name}:{version}"), digest)
        }
    };
    Ok(Record { version, source, digest })
}
