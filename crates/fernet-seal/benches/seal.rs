//! How long sealing and opening a pair of values takes: `cargo bench -p fernet-seal`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use fernet_seal::MasterKey;

/// As long as an access token of Discogs, and its secret.
const PAIR: [&str; 2] = ["AbCdEfGhIjKlMnOpQrStUvWxYzAbCdEfGhIjKlMn"; 2];

fn pair(criterion: &mut Criterion) {
    let text = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    let Ok(master) = MasterKey::parse(text) else { return };
    let key = master.fernet_key("oauth-tokens");
    let seal = || PAIR.map(|plain| key.seal(black_box(plain), 1_700_000_000, black_box([7; 16])));
    let tokens = seal();
    criterion.bench_function("seal a pair", |bencher| bencher.iter(seal));
    criterion.bench_function("open a pair", |bencher| {
        bencher.iter(|| tokens.each_ref().map(|token| key.open(black_box(token))));
    });
    criterion.bench_function("seal and open a pair", |bencher| {
        bencher.iter(|| seal().map(|token| key.open(&token)));
    });
}

criterion_group!(benches, pair);
criterion_main!(benches);
