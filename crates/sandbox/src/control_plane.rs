//! The control plane: etcd, kube-apiserver, kube-controller-manager, kube-scheduler. All real, on free ports of
//! loopback.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::time::Duration;

use backon::{ConstantBuilder, Retryable as _};
use futures::future::select_all;
use rustix::process::Signal;

use super::certificates::Certificates;
use super::options::SandboxOptions;
use super::ports::free_port;
use super::process::{Process, ProcessSpec, named, signal};
use super::programs::Programs;
use super::state::{Folder, write_private};
use bootstrapper_cluster::{Cluster, ConnectOptions};
use bootstrapper_core::failure::{Failure, Result};

/// Logs metadata of every request, as evidence of what a run did.
const AUDIT_POLICY: &str = r#"{"apiVersion":"audit.k8s.io/v1","kind":"Policy","omitStages":["RequestReceived"],"rules":[{"level":"Metadata"}]}"#;

/// Exists while the API server is stopped, for a rehearsal.
const STOPPED_FILE: &str = "api-server-gone";

/// The API server decodes and drops objects all the time: collected as often as Go does by default, a fifth of its
/// processor time goes there.
const GARBAGE_COLLECTION: (&str, &str) = ("GOGC", "300");

const API_SERVER: &str = "kube-apiserver";
const STORE: &str = "etcd";

/// Stops the API server.
pub(super) fn stop_api_server(folder: &Folder) -> Result<()> {
    folder.write(STOPPED_FILE, &true)?;
    kill(folder, API_SERVER);
    Ok(())
}

/// Kills etcd, which is then restarted.
pub(super) fn kill_etcd(folder: &Folder) {
    kill(folder, STORE);
}

fn kill(folder: &Folder, program: &str) {
    for pid in named(&folder.0, program) {
        signal(pid.cast_signed(), Signal::KILL);
    }
}

/// Restarts the API server, if it was stopped.
pub(super) fn restore_api_server(folder: &Folder) -> Result<()> {
    match std::fs::remove_file(folder.path(STOPPED_FILE)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::step("cannot restore the API server").caused_by(&error))
        }
        _ => Ok(()),
    }
}

/// The kubeconfig of the sandbox's own components.
pub(super) fn own_kubeconfig(folder: &Folder) -> PathBuf {
    folder.path("certificates/sandbox.kubeconfig")
}

/// Connects. Before the API server is up there is nothing to watch, so it is polled.
pub(super) async fn answering(access: &ConnectOptions) -> Result<Cluster> {
    let ask = || async {
        let cluster = Cluster::connect(access).await?;
        cluster.is_ready().await.map(|()| cluster)
    };
    let policy = ConstantBuilder::default().with_delay(Duration::from_millis(100)).with_max_times(600);
    ask.retry(policy).await
}

/// A running control plane.
pub(super) struct ControlPlane {
    processes: Vec<Process>,
    /// The processes that a kubelet would restart.
    started_again: Vec<ProcessSpec>,
    folder: Folder,
    pub(super) url: String,
    /// The API server's port on loopback.
    pub(super) port: u16,
    /// For users and runs: the audit log shows their requests by this user.
    pub(super) kubeconfig: PathBuf,
    /// For the sandbox's own components.
    pub(super) own_kubeconfig: PathBuf,
}

impl ControlPlane {
    /// Starts it; returns once the API server is ready.
    pub(super) async fn start(
        folder: &Folder,
        options: &SandboxOptions,
        programs: &Programs,
        certificates: &Certificates,
    ) -> Result<Self> {
        let (store, peers, port) = (free_port()?, free_port()?, free_port()?);
        let url = format!("https://127.0.0.1:{port}");
        let admin = certificates.kubeconfig(
            folder.path("kubeconfig"),
            &options.name,
            &url,
            "admin",
            Some("system:masters"),
        )?;
        let own = certificates.kubeconfig(
            own_kubeconfig(folder),
            &options.name,
            &url,
            "sandbox",
            Some("system:masters"),
        )?;
        let user = |name: &str| {
            certificates.kubeconfig(
                certificates.path(&format!("{name}.kubeconfig")),
                &options.name,
                &url,
                &format!("system:{name}"),
                None,
            )
        };
        let (manager, scheduler) = (user("kube-controller-manager")?, user("kube-scheduler")?);
        write_private(&folder.path("audit-policy.json"), AUDIT_POLICY)
            .map_err(|error| Failure::step("cannot write the audit policy").caused_by(&error))?;

        let spec = |name: &str, arguments: Vec<String>| {
            Ok::<_, Failure>(ProcessSpec {
                name: name.to_owned(),
                program: programs.path(name)?,
                arguments,
                environment: BTreeMap::from([(
                    GARBAGE_COLLECTION.0.to_owned(),
                    GARBAGE_COLLECTION.1.to_owned(),
                )]),
                directory: folder.0.clone(),
                log: folder.path("logs").join(format!("{name}.log")),
                sandbox: folder.0.clone(),
            })
        };
        let start = |name: &str, arguments: Vec<String>| spec(name, arguments)?.start();
        let of_store = Certificates::make_for_store(folder)?;
        let started_again = vec![
            spec(STORE, etcd(folder, &of_store, store, peers))?,
            spec(API_SERVER, api_server(folder, options, certificates, &of_store, (store, port)))?,
        ];
        let processes = started_again.iter().map(ProcessSpec::start).collect::<Result<Vec<_>>>()?;
        let folder = folder.clone();
        let mut control_plane =
            Self { processes, started_again, folder, url, port, kubeconfig: admin, own_kubeconfig: own };
        control_plane.ready(&options.name).await?;
        // It exits if the API server is not ready within 10 s.
        control_plane.processes.push(start(
            "kube-controller-manager",
            vec![
                format!("--kubeconfig={}", manager.display()),
                format!("--service-account-private-key-file={}", certificates.path("accounts.key").display()),
                format!("--root-ca-file={}", certificates.path("ca.crt").display()),
                format!("--cluster-cidr={}", options.pod_cidr),
                format!("--service-cluster-ip-range={}", options.service_cidr),
                "--use-service-account-credentials".into(),
                "--allocate-node-cidrs".into(),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
                "--kube-api-qps=200".into(),
                "--kube-api-burst=400".into(),
            ],
        )?);
        control_plane.processes.push(start(
            "kube-scheduler",
            vec![
                format!("--kubeconfig={}", scheduler.display()),
                "--leader-elect=false".into(),
                "--secure-port=0".into(),
            ],
        )?);
        Ok(control_plane)
    }

    async fn ready(&mut self, context: &str) -> Result<()> {
        let access =
            ConnectOptions { kubeconfig: Some(self.own_kubeconfig.clone()), context: context.to_owned() };
        tokio::select! {
            ready = answering(&access) => ready.map(drop),
            failure = self.ended() => Err(failure),
        }
    }

    /// Returns when the first of its programs exits unexpectedly. etcd or an API server that was killed is
    /// restarted, as a kubelet would; a stopped API server is restarted on request.
    pub(super) async fn ended(&mut self) -> Failure {
        loop {
            let waits = self.processes.iter_mut().map(|process| Box::pin(process.wait()));
            let (status, which, _) = select_all(waits).await;
            let was_killed = status.as_ref().is_ok_and(|status| status.signal().is_some());
            let name = self.processes[which].name().to_owned();
            let Some(spec) = self.started_again.iter().find(|spec| was_killed && spec.name == name) else {
                let how = status.map_or_else(|failure| failure.to_string(), |status| status.to_string());
                return Failure::step(format!("{name} exited")).because(how);
            };
            while name == API_SERVER && self.folder.path(STOPPED_FILE).exists() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            match spec.start() {
                Ok(process) => self.processes[which] = process,
                Err(failure) => return failure,
            }
        }
    }

    /// Stops it. Kills the API server: its graceful shutdown takes half a minute.
    pub(super) async fn stop(&mut self) {
        for process in self.processes.iter_mut().rev() {
            process.kill().await;
        }
    }
}

/// Its clients need a certificate from its own CA.
fn etcd(folder: &Folder, certificates: &Certificates, port: u16, peers: u16) -> Vec<String> {
    let file = |name: &str| certificates.path(name).display().to_string();
    let (authority, certificate, key) = (file("ca.crt"), file("server.crt"), file("server.key"));
    vec![
        "--client-cert-auth".into(),
        format!("--trusted-ca-file={authority}"),
        format!("--cert-file={certificate}"),
        format!("--key-file={key}"),
        "--peer-client-cert-auth".into(),
        format!("--peer-trusted-ca-file={authority}"),
        format!("--peer-cert-file={certificate}"),
        format!("--peer-key-file={key}"),
        "--enable-grpc-gateway=false".into(),
        format!("--data-dir={}", folder.path("etcd").display()),
        // Its data need not survive a crash of the machine.
        "--unsafe-no-fsync".into(),
        format!("--listen-client-urls=https://127.0.0.1:{port}"),
        format!("--advertise-client-urls=https://127.0.0.1:{port}"),
        format!("--listen-peer-urls=https://127.0.0.1:{peers}"),
        format!("--initial-advertise-peer-urls=https://127.0.0.1:{peers}"),
        format!("--initial-cluster=default=https://127.0.0.1:{peers}"),
        "--log-level=warn".into(),
    ]
}

fn api_server(
    folder: &Folder,
    options: &SandboxOptions,
    certificates: &Certificates,
    of_store: &Certificates,
    (store, port): (u16, u16),
) -> Vec<String> {
    let file = |name: &str| certificates.path(name).display().to_string();
    let file_of_store = |name: &str| of_store.path(name).display().to_string();
    let mut arguments = vec![
        format!("--etcd-servers=https://127.0.0.1:{store}"),
        format!("--etcd-cafile={}", file_of_store("ca.crt")),
        format!("--etcd-certfile={}", file_of_store("client.crt")),
        format!("--etcd-keyfile={}", file_of_store("client.key")),
        // Denies everything to anonymous clients, including the version and /healthz.
        "--anonymous-auth=false".into(),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".into(),
        format!("--client-ca-file={}", file("ca.crt")),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--service-account-key-file={}", file("accounts.pub")),
        format!("--service-account-signing-key-file={}", file("accounts.key")),
        "--service-account-issuer=https://kubernetes.default.svc".into(),
        format!("--service-cluster-ip-range={}", options.service_cidr),
        "--authorization-mode=RBAC".into(),
        "--allow-privileged=true".into(),
        "--kubelet-preferred-address-types=InternalDNS,InternalIP".into(),
        format!("--kubelet-client-certificate={}", file("kubelet-client.crt")),
        format!("--kubelet-client-key={}", file("kubelet-client.key")),
        // Lets a node declare that it supports WebSockets for exec.
        "--feature-gates=NodeDeclaredFeatures=true".into(),
        format!("--audit-policy-file={}", folder.path("audit-policy.json").display()),
        format!("--audit-log-path={}", folder.path("logs/audit.log").display()),
    ];
    // The server writes it into the endpoints of the Service `kubernetes`; nothing connects to it.
    if let Some(address) = options.api_server.as_ref().filter(|host| host.parse::<std::net::IpAddr>().is_ok())
    {
        arguments.push(format!("--advertise-address={address}"));
    }
    arguments
}
