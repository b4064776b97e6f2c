//! `kubectl exec` into a pod whose containers are local processes: Kubernetes' remote-command protocol over a
//! WebSocket (`v4.channel.k8s.io`, `v5.channel.k8s.io`). The first byte of a message is its channel. Terminals
//! are not supported.

use std::process::Stdio;

use bytes::Bytes;
use futures::stream::SplitStream;
use futures::{SinkExt as _, StreamExt as _};
use http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, UPGRADE};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{ChildStdin, Command};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role};

use crate::network::Place;

const PROTOCOLS: [&str; 2] = ["v5.channel.k8s.io", "v4.channel.k8s.io"];

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const ERROR: u8 = 3;
/// In version 5: closes the channel in the next byte.
const CLOSE: u8 = 255;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Switches to the protocol, and runs the command in the pod, in the environment of a container.
pub(super) fn answer(request: Request<Incoming>, place: &Place, container: &str) -> Response<Full<Bytes>> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let offered = header(SEC_WEBSOCKET_PROTOCOL).unwrap_or_default();
    let protocol = PROTOCOLS.into_iter().find(|ours| offered.split(',').any(|theirs| theirs.trim() == *ours));
    let (Some(protocol), Some(key)) = (protocol, header(SEC_WEBSOCKET_KEY)) else {
        return refusal("exec needs a WebSocket with v4.channel.k8s.io or v5.channel.k8s.io\n");
    };
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(UPGRADE, "websocket")
        .header(CONNECTION, "Upgrade")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .header(SEC_WEBSOCKET_PROTOCOL, protocol)
        .body(Full::default());
    let asked = Asked::of(request.uri().query().unwrap_or_default());
    let mut words = place.entering();
    words.extend(asked.command);
    let mut command = Command::new(words.remove(0));
    command.args(words).envs(place.environment(container));
    tokio::spawn(async move {
        let Ok(upgraded) = hyper::upgrade::on(request).await else { return };
        let socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await;
        run(socket, command, asked.has_input).await;
    });
    response.unwrap_or_else(|_| refusal("cannot answer exec\n"))
}

/// A response that rejects the request.
pub(super) fn refusal(why: &'static str) -> Response<Full<Bytes>> {
    let mut refusal = Response::new(Full::new(Bytes::from_static(why.as_bytes())));
    *refusal.status_mut() = StatusCode::NOT_FOUND;
    refusal
}

/// The parameters in the request's query.
#[derive(Debug, PartialEq)]
struct Asked {
    command: Vec<String>,
    has_input: bool,
}

impl Asked {
    fn of(query: &str) -> Self {
        let mut asked = Self { command: Vec::new(), has_input: false };
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            match name.as_ref() {
                "command" => asked.command.push(value.into_owned()),
                "input" | "stdin" => asked.has_input |= matches!(value.as_ref(), "1" | "true"),
                _ => {}
            }
        }
        asked
    }
}

async fn run(socket: Socket, command: Command, has_input: bool) {
    let (mut sink, stream) = socket.split();
    let (say, mut said) = mpsc::channel::<Vec<u8>>(16);
    let work = async move {
        let outcome = process(command, has_input, stream, &say).await;
        let _ = say.send(framed(ERROR, outcome.to_string().as_bytes())).await;
    };
    let normal = CloseFrame { code: CloseCode::Normal, reason: "".into() };
    let write = async move {
        while let Some(message) = said.recv().await {
            if sink.send(Message::Binary(message.into())).await.is_err() {
                return;
            }
        }
        let _ = sink.send(Message::Close(Some(normal))).await;
    };
    tokio::join!(work, write);
}

/// Runs it until it exits; returns the status in Kubernetes' format.
async fn process(
    mut command: Command,
    has_input: bool,
    stream: SplitStream<Socket>,
    say: &mpsc::Sender<Vec<u8>>,
) -> Value {
    let child = command
        .stdin(if has_input { Stdio::piped() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return failure(&error.to_string(), None),
    };
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let output = async {
        tokio::join!(copy(STDOUT, stdout, say), copy(STDERR, stderr, say));
        child.wait().await
    };
    let status = tokio::select! {
        status = output => status,
        () = feed(stream, stdin) => return failure("the caller disconnected", None),
    };
    match status {
        Ok(status) if status.success() => json!({"metadata": {}, "status": "Success"}),
        Ok(status) => failure(&format!("command terminated: {status}"), status.code()),
        Err(error) => failure(&error.to_string(), None),
    }
}

fn failure(message: &str, code: Option<i32>) -> Value {
    let mut status =
        json!({"metadata": {}, "status": "Failure", "message": message, "reason": "InternalError"});
    if let Some(code) = code {
        status["reason"] = "NonZeroExitCode".into();
        status["details"] = json!({"causes": [{"reason": "ExitCode", "message": code.to_string()}]});
    }
    status
}

fn framed(channel: u8, content: &[u8]) -> Vec<u8> {
    [&[channel], content].concat()
}

async fn copy(channel: u8, from: Option<impl AsyncRead + Unpin>, say: &mpsc::Sender<Vec<u8>>) {
    let Some(mut from) = from else { return };
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        if say.send(framed(channel, &buffer[..read])).await.is_err() {
            return;
        }
    }
}

/// Forwards the client's input to the process; returns when the client disconnects.
async fn feed(mut stream: SplitStream<Socket>, mut stdin: Option<ChildStdin>) {
    while let Some(Ok(message)) = stream.next().await {
        let content = match message {
            Message::Binary(content) => content,
            Message::Close(_) => return,
            _ => continue,
        };
        match (content.first(), stdin.as_mut()) {
            (Some(&STDIN), Some(input)) => {
                let _ = input.write_all(&content[1..]).await;
            }
            (Some(&CLOSE), _) if content.get(1) == Some(&STDIN) => stdin = None,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_names_the_command_word_by_word() {
        let asked = Asked::of("command=cilium-dbg&command=status&command=-o%20json&error=1&output=1");
        assert_eq!(
            asked,
            Asked { command: vec!["cilium-dbg".into(), "status".into(), "-o json".into()], has_input: false }
        );
        assert!(Asked::of("command=cat&input=1").has_input);
    }

    #[test]
    fn an_exit_code_is_reported_as_kubectl_expects_it() {
        let answer = failure("it ended", Some(3));
        assert_eq!(answer["reason"], "NonZeroExitCode");
        assert_eq!(answer["details"]["causes"][0], json!({"reason": "ExitCode", "message": "3"}));
    }
}
