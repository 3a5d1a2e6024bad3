//! WebSocket through the gateway: after its policies, with its keys and frames untouched, until either side ends it.
//! Spec: <https://www.rfc-editor.org/rfc/rfc6455>

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{Router, jwt_config, token};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Accepts the switch, says what it got, and then says everything back until the other side has ended; then it ends too.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let head = head(&mut stream).await;
                let is_right =
                    ["sec-websocket-key: ", "upgrade: websocket", "connection: upgrade", "sec-websocket-protocol: chat"];
                let is_right = is_right.iter().all(|field| head.to_ascii_lowercase().contains(field)) && head.contains(KEY);
                let status = if is_right { "101 Switching Protocols" } else { "400 Bad Request" };
                let answer = format!(
                    "HTTP/1.1 {status}\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: {ACCEPT}\r\n\
                     sec-websocket-protocol: chat\r\nsec-websocket-extensions: permessage-deflate\r\n\r\n"
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                let (mut read, mut write) = stream.split();
                let _ = tokio::io::copy(&mut read, &mut write).await;
                let _ = write.shutdown().await;
            });
        }
    });
    url
}

/// Reads up to the empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

async fn open(router: &Router, fields: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(router.address()).await.unwrap();
    let request = format!(
        "GET /chat?x=1 HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n{fields}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    (stream, head)
}

/// A masked frame with an opcode.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode, 0x80 | 127];
    frame.extend((payload.len() as u64).to_be_bytes());
    frame.extend([1, 2, 3, 4]);
    frame.extend(payload.iter().zip([1, 2, 3, 4].into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

#[tokio::test]
async fn a_websocket_passes_once_its_request_may_and_ends_with_either_side() {
    let config = format!(
        "{}ratelimit: {{ rules: [{{ name: few, key: [client_ip], rate: 2/1h }}] }}\n\
         routes: [{{ name: chat, match: {{ path: /chat }}, upstream: one }}]\nupstreams: {{ one: {{ endpoints: [{{ url: \"{}\" }}] }} }}\n",
        jwt_config(),
        echo().await
    );
    let router = Router::start(&config).await;
    assert!(open(&router, "").await.1.starts_with("HTTP/1.1 401"), "credentials come first");
    let authorization = format!("Authorization: Bearer {}\r\n", token(json!({})));
    for _ in 0..2 {
        let (mut stream, head) = open(&router, &authorization).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        for field in
            [ACCEPT, "sec-websocket-protocol: chat", "sec-websocket-extensions: permessage-deflate", "upgrade: websocket"]
        {
            assert!(head.contains(field), "{field} is not in {head}");
        }
        // Text, a ping, a mebibyte, and the close with its code: byte for byte there and back.
        let all = [frame(1, b"hello"), frame(9, b"ping"), frame(2, &vec![7; 1 << 20]), frame(8, &[0x03, 0xe8])].concat();
        let (mut read, mut write) = stream.split();
        let mut back = vec![0; all.len()];
        let (sent, got) = futures_util::future::join(write.write_all(&all), read.read_exact(&mut back)).await;
        sent.unwrap();
        got.unwrap();
        assert!(back == all);
        write.shutdown().await.unwrap();
        assert_eq!(read.read(&mut [0; 1]).await.unwrap(), 0, "one side has ended, and the other one learns of it");
    }
    assert!(open(&router, &authorization).await.1.starts_with("HTTP/1.1 429"), "quotas count switches too");
}
