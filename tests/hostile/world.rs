//! What lies around a hostile repository: something to steal, something to set off, somebody to call.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// What stands in every file and variable that no output may show.
pub(crate) const TREASURE: &str = "tr3asure-Zq9-of-somebody";

/// The surroundings of all inputs.
pub(crate) struct World {
    folder: TempDir,
    /// How many connections were made to the address that inputs name.
    calls: Arc<AtomicUsize>,
    port: u16,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["outside", "set-off", "home"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let manifest = format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: stolen}}, data: {{it: {TREASURE}}}}}\n"
        );
        std::fs::write(folder.path().join("outside/stolen.yaml"), manifest).unwrap();
        std::fs::write(
            folder.path().join("outside/kustomization.yaml"),
            "resources: [stolen.yaml]\nconfigMapGenerator: [{name: made, files: [stolen.yaml]}]\n",
        )
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                counter.fetch_add(1, Ordering::SeqCst);
                drop(connection);
            }
        });
        Self { folder, calls, port }
    }

    /// A folder that no repository may read.
    pub(crate) fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// A file that is there once an input has run something.
    pub(crate) fn set_off(&self) -> PathBuf {
        self.folder.path().join("set-off/it-ran")
    }

    /// What lies where an input's program would leave it.
    pub(crate) fn was_set_off(&self) -> bool {
        std::fs::read_dir(self.folder.path().join("set-off")).unwrap().next().is_some()
    }

    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// An address at which somebody counts who calls.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}
