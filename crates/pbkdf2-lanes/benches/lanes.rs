//! How long a stored password's key takes to derive, compared with the `pbkdf2` library.
//!
//! `cargo bench -p pbkdf2-lanes`; the time of `lanes/4` is that of four keys.

use std::hint::black_box;
use std::num::NonZeroU32;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pbkdf2_lanes::{Job, MOST_LANES, derive};
use sha2::Sha256;

const ITERATIONS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
const JOB: Job<'_> = Job { password: b"a password of usual length", salt: &[7; 32] };

fn keys(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("keys");
    group.sample_size(20);
    group.bench_function("library", |bencher| {
        bencher.iter(|| {
            let Job { password, salt } = black_box(JOB);
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, salt, ITERATIONS.get())
        });
    });
    for count in 1..=MOST_LANES {
        group.throughput(Throughput::Elements(count as u64));
        group.bench_with_input(BenchmarkId::new("lanes", count), &count, |bencher, count| {
            let jobs = vec![JOB; *count];
            bencher.iter(|| derive(black_box(&jobs), ITERATIONS));
        });
    }
    group.finish();
}

criterion_group!(benches, keys);
criterion_main!(benches);
