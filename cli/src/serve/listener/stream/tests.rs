use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::time::{Instant, sleep};

use super::*;

/// A stream whose client has a buffer of `size` bytes, and the client.
fn stream(size: usize) -> (Limited<DuplexStream>, DuplexStream) {
    let (server, client) = duplex(size);
    (Limited::new(server), client)
}

/// Reads until the limit ends it; returns after how many seconds.
async fn read_until_cut(stream: &mut Limited<DuplexStream>) -> u64 {
    let started = Instant::now();
    let error = loop {
        match stream.read_u8().await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    started.elapsed().as_secs()
}

/// Sends a byte every so often, for as long as the server reads.
fn drip(mut client: DuplexStream, pause: Duration) {
    tokio::spawn(async move {
        while client.write_all(b"x").await.is_ok() {
            sleep(pause).await;
        }
    });
}

#[tokio::test(start_paused = true)]
async fn the_first_request_and_later_ones_must_start_in_time() {
    let (mut stream, _client) = stream(64);
    let started = Instant::now();
    assert!(!stream.wait().await);
    assert_eq!(started.elapsed(), HEADERS_LIMIT);
    drop(stream.activity().begin());
    let started = Instant::now();
    assert!(!stream.wait().await);
    assert_eq!(started.elapsed(), IDLE_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn headers_have_one_limit_for_all_of_their_bytes() {
    let (mut stream, client) = stream(64);
    drip(client, Duration::from_secs(1));
    assert!(stream.wait().await);
    assert_eq!(read_until_cut(&mut stream).await, HEADERS_LIMIT.as_secs());
}

#[tokio::test(start_paused = true)]
async fn the_byte_that_was_waited_for_is_read_first() {
    let (mut stream, mut client) = stream(64);
    client.write_all(b"GET").await.unwrap();
    assert!(stream.wait().await);
    let mut bytes = [0; 3];
    assert_eq!(stream.read(&mut bytes).await.unwrap(), 3);
    assert_eq!(&bytes, b"GET");
    stream.put_back(b"PO");
    assert!(stream.wait().await);
    client.write_all(b"ST").await.unwrap();
    // A buffer that is smaller than what is there.
    let mut bytes = [0; 1];
    for expected in b"POST" {
        assert_eq!(stream.read(&mut bytes).await.unwrap(), 1);
        assert_eq!(bytes[0], *expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off() {
    let (mut stream, client) = stream(64);
    let started = Instant::now();
    let error = stream.write_all(&[0; 1000]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(started.elapsed(), STALL_LIMIT);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn a_response_has_one_limit_however_often_the_client_reads_a_byte() {
    let (mut stream, mut client) = stream(64);
    tokio::spawn(async move {
        while client.read_u8().await.is_ok() {
            sleep(STALL_LIMIT / 2).await
        }
    });
    let started = Instant::now();
    let error = stream.write_all(&[0; 100_000]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert_eq!(started.elapsed(), RESPONSE_LIMIT);
}

#[tokio::test(start_paused = true)]
async fn each_response_has_its_own_limit() {
    let (mut stream, mut client) = stream(64);
    tokio::spawn(async move {
        while client.read_u8().await.is_ok() {
            sleep(Duration::from_secs(1)).await
        }
    });
    let started = Instant::now();
    for _ in 0..4 {
        drop(stream.activity().begin());
        stream.write_all(&[0; 200]).await.unwrap();
    }
    assert!(started.elapsed() > RESPONSE_LIMIT);
}
