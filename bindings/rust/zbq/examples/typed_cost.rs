// SPDX-License-Identifier: MIT
//! What a typed message costs beside an untyped one, in nanoseconds of one thread that plays both
//! sides: no waiting, no other processor's cache. The least of many rounds, in which each way has
//! its turn. To be built with `--release`.

use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};
use zbq::{message_size, Channel, Error, Options, TypedConsumer, TypedProducer, Wakeup};

const CAPACITY: u64 = 1 << 20;
const ROUNDS: usize = 2000;
const BATCH: usize = 64;
const WORD: u64 = 7;

type Words<const N: usize> = [u64; N];
type Sender<const N: usize> = TypedProducer<Words<N>>;
type Receiver<const N: usize> = TypedConsumer<Words<N>>;
type Write<const N: usize> = fn(&mut Sender<N>, usize) -> Result<(), Error>;
type Read<const N: usize> = fn(&Receiver<N>, usize) -> Result<u64, Error>;

// ---- writing ----

fn send_bytes<const N: usize>(sender: &mut Sender<N>, count: usize) -> Result<(), Error> {
    let bytes = WORD.to_ne_bytes().repeat(N);
    for _ in 0..count {
        sender.get_mut().try_publish(&bytes)?;
    }
    Ok(())
}

fn send<const N: usize>(sender: &mut Sender<N>, count: usize) -> Result<(), Error> {
    let value = [WORD; N];
    for _ in 0..count {
        sender.try_send(&value)?;
    }
    Ok(())
}

fn batch_of_bytes<const N: usize>(sender: &mut Sender<N>, count: usize) -> Result<(), Error> {
    let bytes = WORD.to_ne_bytes().repeat(N);
    let size = message_size(bytes.len()).unwrap();
    for _ in 0..count / BATCH {
        let mut batch = sender.get_mut().try_batch(BATCH as u64 * size)?;
        for _ in 0..BATCH {
            batch.add(bytes.len()).unwrap().copy_from_slice(&bytes);
        }
        batch.commit();
    }
    Ok(())
}

fn batch<const N: usize>(sender: &mut Sender<N>, count: usize) -> Result<(), Error> {
    let value = [WORD; N];
    for _ in 0..count / BATCH {
        let mut batch = sender.try_batch(BATCH)?;
        for _ in 0..BATCH {
            *batch.add().unwrap() = value;
        }
        batch.commit();
    }
    Ok(())
}

// ---- reading: a sum of one word of each ----

fn copy_bytes<const N: usize>(receiver: &Receiver<N>, _: usize) -> Result<u64, Error> {
    let mut bytes = vec![0; N * 8];
    let mut sum = 0;
    for message in receiver.get_ref().try_iter() {
        message?.read_at(0, &mut bytes)?;
        sum += u64::from_ne_bytes(bytes[N * 8 - 8..].try_into().unwrap());
    }
    Ok(sum)
}

fn copy<const N: usize>(receiver: &Receiver<N>, count: usize) -> Result<u64, Error> {
    let mut sum = 0;
    for _ in 0..count {
        sum += receiver.try_next()?[N - 1];
    }
    Ok(sum)
}

fn copy_in_batches<const N: usize>(receiver: &Receiver<N>, count: usize) -> Result<u64, Error> {
    read_in_batches(receiver, count, |place| place.get()[N - 1])
}

fn look_at_bytes<const N: usize>(receiver: &Receiver<N>, _: usize) -> Result<u64, Error> {
    let mut sum = 0;
    for message in receiver.get_ref().try_iter() {
        let word = message?.payload().array(0).map(u64::from_ne_bytes);
        sum += word.unwrap_or_default();
    }
    Ok(sum)
}

fn look_in_batches<const N: usize>(receiver: &Receiver<N>, count: usize) -> Result<u64, Error> {
    read_in_batches(receiver, count, |place| place.field(|words| &words[0]))
}

fn read_in_batches<const N: usize>(
    receiver: &Receiver<N>,
    count: usize,
    read: impl Fn(zbq::Place<'_, Words<N>>) -> u64,
) -> Result<u64, Error> {
    let (mut sum, mut done) = (0, 0);
    while done < count {
        let batch = receiver.take_batch(BATCH);
        let all: u64 = batch.iter().map(&read).sum();
        done += batch.finish()?;
        sum += all;
    }
    Ok(sum)
}

// ---- measuring ----

/// Fills half of the ring and reads it, again and again.
fn measure<const N: usize>() -> Result<(), Error> {
    let writes: [Write<N>; 4] = [send_bytes, send, batch_of_bytes, batch];
    let reads: [Read<N>; 5] = [
        copy_bytes,
        copy,
        copy_in_batches,
        look_at_bytes,
        look_in_batches,
    ];
    let channel = Channel::<Words<N>>::new("words/1");
    let mut sender = channel.producer(&Options::new().capacity(CAPACITY))?;
    let (near, far) = UnixStream::pair()?;
    sender.get_mut().admit(&near, Wakeup::Pull)?;
    let receiver = channel.join(&far, Wakeup::Pull)?;
    let messages = CAPACITY / 2 / message_size(N * 8).unwrap();
    let count = messages as usize / BATCH * BATCH;
    let (mut writing, mut reading) = ([Duration::MAX; 4], [Duration::MAX; 5]);
    for round in 0..ROUNDS {
        let (write, read) = (round % writes.len(), round % reads.len());
        let start = Instant::now();
        writes[write](&mut sender, count)?;
        writing[write] = writing[write].min(start.elapsed());
        let start = Instant::now();
        assert_eq!(reads[read](&receiver, count)?, count as u64 * WORD);
        reading[read] = reading[read].min(start.elapsed());
    }
    print!("{:>7} bytes", N * 8);
    for time in writing.iter().chain(&reading) {
        print!("{:>9.1}", time.as_nanos() as f64 / count as f64);
    }
    println!();
    Ok(())
}

const HEAD: &str = "\
ns a message          send              batch              copy                      look
              untyped    typed  untyped    typed  untyped    typed in batch  untyped in batch";

fn main() -> Result<(), Error> {
    println!("{HEAD}");
    measure::<3>()?;
    measure::<6>()?;
    measure::<32>()?;
    measure::<128>()
}
