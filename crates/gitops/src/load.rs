//! Loads everything that a cluster declares: every Kustomization from the root down, built as Flux would.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Mutex;

use super::declared::Declared;
use super::dependencies;
use super::entry::{self, Entry};
use super::flux::FluxSetup;
use super::ignore::Ignore;
use super::instance;
use super::kustomization::Kustomization;
use super::layout::find_kustomization;
use super::patched::patched;
use super::pipeline::Config;
use super::place::Written;
use super::problem::Problem;
use super::recipe::Recipe;
use super::release::Release;
use super::repository::{Repository, SETTINGS};
use super::root::{self, Root};
use super::roots;
use super::sources::{SecretValues, Source, Sources, UNKNOWN};
use super::walk::{Found, Walk, is};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::files;
use bootstrapper_core::object::{Object, ObjectRef};
use bootstrapper_tools::{Kustomize, git_revision};

type Places = BTreeMap<ObjectRef, Written>;

impl Repository {
    /// Loads everything that `cluster` declares. `secrets` are those that the bootstrap seeds. Fails only if
    /// there is nothing to read; otherwise problems are part of the result.
    pub async fn load(
        &self,
        cluster: &str,
        kustomize: &Kustomize,
        secrets: &SecretValues,
    ) -> Result<Declared> {
        let entry = self.entry_of(cluster)?;
        let (root, mut places) = self.enter(cluster, entry, kustomize).await?;
        let base = root.base(&entry.folder);
        let (flux, is_artifact) = (self.flux_setup(cluster, entry, &root), root.is_artifact());
        let (root, unpatched) = patched(root, kustomize).await;
        let Root { source, sync, .. } = root;
        let ignore = Ignore::of_files(&self.root, &base);
        let ignore = if is_artifact { ignore.of_artifact() } else { ignore };
        let mut walk = Walk {
            root: &self.root,
            files: &self.files,
            own_keys: self.own_keys,
            kustomize,
            builds: &self.builds,
            source: &source,
            base: &base,
            ignore: &ignore,
            flux: &flux,
            flux_sources: Vec::new(),
            generators: Vec::new(),
            sources: Sources::seeded(secrets),
            kustomizations: Vec::new(),
            problems: Vec::new(),
            notes: Vec::new(),
            sets: Vec::new(),
            made: 0,
            providers: Vec::new(),
            views: Mutex::default(),
            unverified: BTreeMap::new(),
            refused: BTreeMap::new(),
        };
        let written = places.get(&ObjectRef::of(&sync)).cloned();
        walk.all(Found {
            object: sync.clone(),
            written,
            by: None,
            secret: BTreeSet::new(),
            gaps: Vec::new(),
        })
        .await;
        let Walk { sources, kustomizations, mut problems, notes, unverified, refused, .. } = walk;
        let written = places.get(&ObjectRef::of(&sync));
        problems
            .extend(unpatched.map(|problem| problem.placed(written, "spec.kustomize.patches", &self.files)));

        for (object, written) in kustomizations.iter().flat_map(Kustomization::placed_objects) {
            if let Some(written) = written {
                places.entry(ObjectRef::of(object)).or_insert_with(|| written.clone());
            }
        }
        let edges = kustomizations.iter().map(|one| (one.id.clone(), one.depends_on.clone()));
        problems.extend(self.dependencies(&edges.collect(), &places));
        let (settings, unknown_settings) = settings(&sources);
        let mut declared = Declared {
            cluster: cluster.to_owned(),
            secret_settings: secret_settings(&sources),
            settings,
            unknown_settings,
            revision: git_revision(&self.root).await,
            source,
            sync,
            kustomizations,
            releases: Vec::new(),
            renderings: BTreeMap::new(),
            providers: sources.providers(),
            keys: sources.keys(),
            problems,
            notes,
            flux,
            unverified,
            files: self.files.clone(),
            folder: entry.folder.clone(),
            places,
        };
        self.add_releases(&mut declared, &sources, &refused);
        declared.downgrade_missing();
        Ok(declared)
    }

    /// The source and the root Kustomization, and their locations.
    async fn enter(&self, cluster: &str, entry: &Entry, kustomize: &Kustomize) -> Result<(Root, Places)> {
        let place = &entry.place;
        if files::find(&self.root, place).is_err() {
            return Err(Failure::input(format!("cluster {cluster} has no {}", place.display()))
                .hint("add its GitRepository and root Kustomization there, as in the other clusters"));
        }
        let mut places = Places::new();
        let objects = if find_kustomization(&self.root, place).is_some() {
            let recipe = Recipe::plain(place);
            let built = self.builds.get(&recipe, &self.root, kustomize).await;
            let written = || entry::read(&self.root, place);
            match built {
                Ok(documents) => {
                    let placed = documents.iter();
                    places
                        .extend(placed.filter_map(|one| Some((ObjectRef::of(&one.object), one.written()?))));
                    documents.iter().filter_map(|one| serde_json::to_value(&one.object).ok()).collect()
                }
                // A failed build is reported when it is built from the root.
                Err(_) if self.awaits_bootstrap(entry) || !roots::roots(&written()).is_empty() => written(),
                Err(problem) => return Err(problem.failure),
            }
        } else {
            entry::read(&self.root, place)
        };
        let mut at = place.clone();
        let root = roots::pick(&objects, &entry.folder).or_else(|| {
            let (root, found) = entry::within(&self.root, &entry.folder)?;
            at = found;
            Some(root)
        });
        let root =
            root.or_else(|| self.awaits_bootstrap(entry).then(|| root::not_written_yet(&entry.folder))?);
        let place = &at;
        let root = root.ok_or_else(|| {
            Failure::input(format!("{} declares no Kustomization with its source", place.display()))
                .because(
                    "it has neither a GitRepository with a Kustomization, nor a FluxInstance with a sync",
                )
                .hint("`flux bootstrap` writes both to flux-system/gotk-sync.yaml")
        })?;
        for file in entry::manifests(&self.root, place) {
            for object in [&root.source, &root.sync] {
                let declaring = declaring(object, &root, &entry::read(&self.root, &file));
                let written = declaring.map(|declaring| Written::new(file.clone(), &declaring));
                if let Some(written) = written {
                    places.entry(ObjectRef::of(object)).or_insert(written);
                }
            }
        }
        Ok((root, places))
    }

    /// Whether this is the folder of `flux bootstrap`, which writes its files only when it runs.
    fn awaits_bootstrap(&self, entry: &Entry) -> bool {
        let files = entry::manifests(&self.root, &entry.place);
        let is_gotk = |file: &PathBuf| {
            let name = file.file_name().and_then(std::ffi::OsStr::to_str);
            name.is_some_and(|name| name.starts_with("gotk-"))
        };
        files::is_folder(&self.root, &entry.folder) && files.iter().any(is_gotk)
    }

    /// The configuration of Flux: from its FluxInstance, the files of `flux bootstrap`, or bootstrapper.yaml.
    fn flux_setup(&self, cluster: &str, entry: &Entry, root: &Root) -> FluxSetup {
        let manifests = entry::manifests(&self.root, &entry.place);
        let texts = manifests.iter().filter_map(|file| files::read_text(&self.root, file).ok());
        let version = Config::load(&self.root).ok().and_then(|config| config.flux_of(cluster).version);
        let texts: Vec<String> = texts.collect();
        // A FluxInstance without `sync` stands beside a source and Kustomization that are written out.
        let beside = || texts.iter().find_map(|text| instance::beside(text));
        FluxSetup::of(root.instance.clone().or_else(beside).as_ref(), &texts, version)
    }

    fn dependencies(&self, edges: &dependencies::Edges, places: &Places) -> Vec<Problem> {
        let placed = |(problem, at, field): (Problem, ObjectRef, String)| {
            problem.of(&at).placed(places.get(&at), &field, &self.files)
        };
        dependencies::check(edges).into_iter().map(placed).collect()
    }

    fn add_releases(
        &self,
        declared: &mut Declared,
        sources: &Sources,
        refused: &BTreeMap<ObjectRef, Failure>,
    ) {
        let objects: Vec<&Object> = declared.objects().collect();
        let mut edges = dependencies::Edges::new();
        let mut releases = Vec::new();
        let mut problems = Vec::new();
        for kustomization in &declared.kustomizations {
            let is_release = |object: &&Object| is(object, "helm.toolkit.fluxcd.io", Some("HelmRelease"));
            for object in kustomization.objects.iter().filter(is_release) {
                let id = ObjectRef::of(object);
                edges.insert(id.clone(), dependencies::depends_on(object));
                let read = Release::read(object, &kustomization.id, &objects, sources);
                let written = declared.places.get(&id);
                problems.extend(
                    read.problems
                        .into_iter()
                        .map(|(problem, field)| problem.of(&id).placed(written, &field, &self.files)),
                );
                let mut release = read.release;
                if let Some(release) = &mut release {
                    let of_chart = declared.gaps_of(&release.source);
                    release.gaps = declared.gaps_of(&release.id).chain(of_chart).cloned().collect();
                    if release.refused.is_none() {
                        let why = refused.get(&release.id).or_else(|| refused.get(&release.source));
                        release.refused = why.cloned();
                    }
                }
                releases.extend(release);
            }
        }
        problems.extend(self.dependencies(&edges, &declared.places));
        declared.releases = releases;
        declared.problems.extend(problems);
    }
}

/// The declaration of `object`, the source or the root Kustomization: itself, or the object that creates both.
fn declaring(object: &Object, root: &Root, written: &[serde_json::Value]) -> Option<Object> {
    let objects = || written.iter().filter_map(|one| serde_json::from_value::<Object>(one.clone()).ok());
    let itself = objects().find(|one| one.types == object.types && one.metadata.name == object.metadata.name);
    let maker = || {
        let maker = written.iter().find(|one| instance::root_of(one).as_ref() == Some(root))?;
        Some(serde_json::from_value(maker.clone()).unwrap_or_else(|_| object.clone()))
    };
    itself.or_else(maker)
}

/// The ConfigMap `cluster-settings`, in any namespace.
fn source_of_settings(sources: &Sources) -> Option<&Source> {
    let in_usual_place = sources.get("ConfigMap", "flux-system", SETTINGS);
    in_usual_place.or_else(|| sources.named("ConfigMap", SETTINGS))
}

/// The settings with secret values.
fn secret_settings(sources: &Sources) -> BTreeSet<String> {
    let all = source_of_settings(sources).into_iter();
    all.flat_map(|source| source.data.keys().filter(|key| source.is_secret(key)).cloned()).collect()
}

/// The settings, and the keys of those with unknown values.
fn settings(sources: &Sources) -> (BTreeMap<String, String>, BTreeSet<String>) {
    let Some(source) = source_of_settings(sources) else {
        return (BTreeMap::new(), BTreeSet::new());
    };
    let (unknown, known): (Vec<_>, Vec<_>) =
        source.data.clone().into_iter().partition(|(_, value)| value == UNKNOWN);
    (known.into_iter().collect(), unknown.into_iter().map(|(name, _)| name).collect())
}
