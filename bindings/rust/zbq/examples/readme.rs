// SPDX-License-Identifier: MIT
//! The README's program: one thread publishes, another reads, by a name. They might as well be
//! two programs, in C++ or in Rust.

use std::io::Write;
use zbq::{connect, ConnectOptions, Listener, ListenerOptions, Options, Producer};

fn produce(name: &str) -> Result<(), zbq::Error> {
    let mut ring = Producer::new(&Options::new())?; // a megabyte, for 16 consumers
    let mut door = Listener::new(name, ListenerOptions::new())?; // for this user alone
    while ring.statistics().consumers == 0 {
        door.wait_and_serve(&mut ring, None)?;
    }
    let mut room = ring.reserve(5, None)?;
    room.payload().copy_from_slice(b"hello"); // into the ring itself
    room.commit();
    Ok(())
} // the end of the stream

fn consume(name: &str) -> Result<(), zbq::Error> {
    let reader = connect(name, None, &ConnectOptions::new())?;
    for message in &reader {
        let text = message?.to_vec()?; // a copy, which was whole
        std::io::stdout().write_all(&text)?;
        std::io::stdout().write_all(b"\n")?;
    }
    Ok(())
}

fn main() -> Result<(), zbq::Error> {
    let name = format!("@greetings-{}", std::process::id());
    std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(&name));
        consume(&name)?;
        producer.join().unwrap()
    })
}
