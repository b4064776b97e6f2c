//! Servers of charts that drip, or that never come to an end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use crate::common;

/// What a server writes after its headers, for as long as somebody listens.
type Body = fn(&mut TcpStream) -> std::io::Result<()>;

fn drips(to: &mut TcpStream) -> std::io::Result<()> {
    loop {
        to.write_all(b"#")?;
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn never_ends(to: &mut TcpStream) -> std::io::Result<()> {
    let line = vec![b'#'; 64 * 1024];
    loop {
        to.write_all(&line)?;
    }
}

fn serve(body: Body) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || answer(connection, body));
        }
    });
    port
}

fn answer(mut connection: TcpStream, body: Body) -> std::io::Result<()> {
    let asked = BufReader::new(connection.try_clone()?).lines();
    let _headers = asked.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n")?;
    body(&mut connection)
}

#[test]
fn a_server_that_drips_or_never_ends_is_left_with_the_limit_named() {
    for body in [drips as Body, never_ends] {
        let port = serve(body);
        let repository = tempfile::tempdir().unwrap();
        let cluster = repository.path().join("clusters/home");
        std::fs::create_dir_all(cluster.join("flux-system")).unwrap();
        std::fs::write(cluster.join("flux-system/gotk-sync.yaml"), common::sync("./clusters/home")).unwrap();
        std::fs::write(
            cluster.join("kustomization.yaml"),
            "resources: [flux-system/gotk-sync.yaml, app.yaml]\n",
        )
        .unwrap();
        let release = format!(
            "apiVersion: source.toolkit.fluxcd.io/v1
kind: HelmRepository
metadata: {{name: charts, namespace: flux-system}}
spec: {{interval: 1h, url: \"http://127.0.0.1:{port}\"}}
---
apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: app, namespace: flux-system}}
spec:
  interval: 1h
  chart: {{spec: {{chart: app, version: 1.0.0, sourceRef: {{kind: HelmRepository, name: charts}}}}}}
"
        );
        std::fs::write(cluster.join("app.yaml"), release).unwrap();
        let output = common::bootstrapper()
            .args(["validate", "home", "--charts", "--repo"])
            .arg(repository.path())
            .env("BOOTSTRAPPER_CHILD_TIME", "3s")
            .timeout(Duration::from_mins(2))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_eq!(output.status.code(), Some(0), "a server that is away is a warning: {said}");
        assert!(said.contains("and was stopped: app 1.0.0 of http://127.0.0.1"), "{said}");
    }
}
