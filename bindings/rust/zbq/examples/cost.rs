// SPDX-License-Identifier: MIT
//! What a message costs each side, in nanoseconds of one thread that plays both: no waiting, no
//! other processor's cache. The least of many rounds. To be built with `--release`.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zbq::{message_size, Consumer, Error, Options, Producer, Wakeup};

const CAPACITY: u64 = 1 << 20;
const ROUNDS: u32 = 300;
const BYTE: u8 = 7;

/// Fills half of the ring and reads it, again and again: the least for a message on either side.
fn measure(
    len: usize,
    mut write: impl FnMut(&mut Producer, usize),
    read: impl Fn(&Consumer) -> Result<u64, Error>,
) -> Result<(f64, f64), Error> {
    let mut producer = Producer::new(&Options::new().capacity(CAPACITY))?;
    let (near, far) = UnixStream::pair()?;
    producer.admit(&near, Wakeup::Pull)?;
    let consumer = Consumer::join(&far, Wakeup::Pull)?;
    let count = (CAPACITY / 2 / message_size(len).unwrap()) as u32;
    let (mut writing, mut reading) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        write(&mut producer, count as usize);
        writing = writing.min(start.elapsed());
        let start = Instant::now();
        assert_eq!(read(&consumer)?, u64::from(count) * u64::from(BYTE));
        reading = reading.min(start.elapsed());
    }
    let each = |time: Duration| time.as_nanos() as f64 / f64::from(count);
    Ok((each(writing), each(reading)))
}

fn publish(payload: &[u8]) -> impl FnMut(&mut Producer, usize) + '_ {
    move |producer, count| {
        for _ in 0..count {
            producer.try_publish(payload).unwrap();
        }
    }
}

fn publish_batches(payload: &[u8]) -> impl FnMut(&mut Producer, usize) + '_ {
    move |producer, count| {
        let size = message_size(payload.len()).unwrap();
        let mut left = count;
        while left != 0 {
            let messages = left.min(64);
            let mut batch = producer.try_batch(messages as u64 * size).unwrap();
            for _ in 0..messages {
                batch.add(payload.len()).unwrap().copy_from_slice(payload);
            }
            batch.commit();
            left -= messages;
        }
    }
}

// Either gives the sum of one byte of each message.

fn copy_each(len: usize) -> impl Fn(&Consumer) -> Result<u64, Error> {
    move |consumer| {
        let mut bytes = vec![0; len];
        let mut sum = 0;
        for message in consumer.try_iter() {
            message?.read_at(0, &mut bytes)?;
            sum += u64::from(bytes[len - 1]);
        }
        Ok(sum)
    }
}

fn look_at_each(consumer: &Consumer) -> Result<u64, Error> {
    let mut sum = 0;
    for message in consumer.try_iter() {
        sum += u64::from(message?.payload().get(0).unwrap_or_default());
    }
    Ok(sum)
}

fn main() -> Result<(), Error> {
    println!("ns a message     publish    in batches      read one    copy out, check");
    for len in [48, 256, 1024, 16 << 10, 256 << 10] {
        let payload = vec![BYTE; len];
        let (one, look) = measure(len, publish(&payload), look_at_each)?;
        let batched = match len {
            0..=1024 => measure(len, publish_batches(&payload), look_at_each)?.0,
            _ => f64::NAN,
        };
        let (_, copy) = measure(len, publish(&payload), copy_each(len))?;
        println!("{len:>7} bytes {one:>13.1} {batched:>13.1} {look:>13.1} {copy:>18.1}");
    }
    Ok(())
}
