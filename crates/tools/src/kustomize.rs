//! Kustomize: the program itself, or kubectl's. It has no git, no network access and no environment: all
//! inputs are in its folder.

use std::ffi::OsString;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::program::{Call, Program};
use super::{Environment, Remotes};
use bootstrapper_core::failure::{Failure, Result};
use bootstrapper_core::private::Folder;

/// Builds kustomizations as Flux does.
#[derive(Debug)]
pub struct Kustomize {
    program: Program,
    verb: &'static str,
    remotes: Remotes,
}

/// Variables that wrapper programs of version managers need.
const PLACES: [&str; 9] = [
    "HOME",
    "TMPDIR",
    "LANG",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "ASDF_DATA_DIR",
    "MISE_DATA_DIR",
];

/// A proxy that nothing serves: the discard port.
const NO_WAY: &str = "http://127.0.0.1:9";

impl Kustomize {
    /// Finds `kustomize`, else `kubectl`.
    pub fn find(environment: &Environment) -> Result<Self> {
        let named = |name, verb| {
            let program = Program::find(name, environment)?;
            Some(Self { program, verb, remotes: Remotes::new(environment) })
        };
        named("kustomize", "build").or_else(|| named("kubectl", "kustomize")).ok_or_else(|| {
            Failure::input("neither kustomize nor kubectl is installed").hint("install one of them")
        })
    }

    /// The identity of the program and its environment: with the same identity, the same input gives the same
    /// output.
    pub fn identity(&self) -> String {
        self.program.identity()
    }

    /// The program's search path and environment.
    pub fn environment(&self) -> &Environment {
        &self.program.environment
    }

    /// Fetches remote references.
    pub fn remotes(&self) -> &Remotes {
        &self.remotes
    }

    /// Builds the kustomization in `folder`; returns YAML documents.
    pub async fn build(&self, folder: &Path) -> Result<String> {
        // Flux builds without load restrictions: bases above the folder are common.
        let call = Call::new([
            self.verb.as_ref(),
            "--load-restrictor=LoadRestrictionsNone".as_ref(),
            folder.as_os_str(),
        ])
        .about(&folder.display());
        // If it tries to fetch anything, it finds a git that always fails.
        let programs = Folder::new()?;
        let git = programs.path().join("git");
        std::fs::write(&git, "")
            .and_then(|()| std::fs::set_permissions(&git, Permissions::from_mode(0o700)))
            .map_err(|error| Failure::step("cannot write to a temporary folder").caused_by(&error))?;
        let built = self.program.run(call.sealed(variables(programs.path()))).await?;
        String::from_utf8(built)
            .map_err(|_| Failure::input(format!("the build output of {} is not UTF-8", folder.display())))
    }
}

/// Its complete environment.
fn variables(programs: &Path) -> Vec<(OsString, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([programs.to_owned()].into_iter().chain(std::env::split_paths(&path)));
    let places = PLACES.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?)));
    let mut variables: Vec<(OsString, OsString)> = places.collect();
    variables.push(("PATH".into(), path.unwrap_or_else(|_| programs.into())));
    variables.push(("GIT_ALLOW_PROTOCOL".into(), "none".into()));
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"] {
        variables.push((name.into(), NO_WAY.into()));
    }
    variables
}
