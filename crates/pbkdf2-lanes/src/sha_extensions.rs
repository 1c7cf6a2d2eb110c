//! Several derivations interleaved on one thread, with the SHA extensions of x86-64 and AVX, whose
//! three-operand instructions write to a separate destination register, so fewer copies are needed.
//!
//! The instructions work on the state of SHA-256 (FIPS 180-4 section 6.2) as two vectors, one of
//! the variables a, b, e, f and one of c, d, g, h. Each lane is a derivation of its own; a lane
//! never reads another one's variables.
//!
//! After the first step every message of PBKDF2 is one digest of 32 bytes, so its padding is
//! always the same, and digests stay in registers as words: bytes are never swapped.

#![expect(unsafe_code, reason = "the instructions need a processor that has them")]
#![expect(clippy::indexing_slicing, reason = "lanes and words are counted by constants")]

use std::arch::x86_64::{
    __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_blend_epi16, _mm_extract_epi32, _mm_set_epi32,
    _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi32,
    _mm_xor_si128,
};
use std::num::NonZeroU32;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

use crate::{Job, KEY_LENGTH, Key, MOST_LANES};

/// The length of a block of SHA-256 in bytes.
const BLOCK_LENGTH: usize = 64;

/// The bits of a message of PBKDF2: of a block of key and of a digest.
const MESSAGE_BITS: i32 = 8 * (64 + 32);

/// What HMAC mixes into its key (RFC 2104 section 2).
const INNER_PAD: u8 = 0x36;
const OUTER_PAD: u8 = 0x5c;

/// The initial hash value (FIPS 180-4 section 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The constants of the rounds (FIPS 180-4 section 4.2.2).
#[rustfmt::skip]
const ROUNDS: [u32; 64] = [
    0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5, 0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5,
    0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3, 0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174,
    0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc, 0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da,
    0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7, 0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967,
    0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13, 0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85,
    0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3, 0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070,
    0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5, 0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3,
    0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208, 0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2,
];

/// Proof that the processor has the instructions.
#[derive(Clone, Copy)]
pub(crate) struct ShaExtensions(());

/// The state of SHA-256 in the layout of the instructions; the first variable is the highest word.
#[derive(Clone, Copy)]
struct State {
    abef: __m128i,
    cdgh: __m128i,
}

/// A digest in the order of its words, the first is the lowest.
#[derive(Clone, Copy)]
struct Digest {
    abcd: __m128i,
    efgh: __m128i,
}

/// The initial values of one derivation.
struct Lane {
    /// The states after the first block of the inner and the outer hash: the password's part.
    inner: Zeroizing<[u32; 8]>,
    outer: Zeroizing<[u32; 8]>,
    /// The first step's digest, which the salt went into.
    first: Zeroizing<[u32; 8]>,
}

impl ShaExtensions {
    /// Checks whether the processor has them; the library caches the answer.
    pub(crate) fn detect() -> Option<Self> {
        let has_both = is_x86_feature_detected!("sha") && is_x86_feature_detected!("avx");
        has_both.then_some(Self(()))
    }

    pub(crate) fn derive(self, jobs: &[Job<'_>], iterations: NonZeroU32) -> Vec<Key> {
        let lanes: Vec<_> = jobs.iter().map(|job| self.begin(job)).collect();
        let mut keys = Vec::with_capacity(lanes.len());
        for group in lanes.chunks(MOST_LANES) {
            match group {
                [a] => keys.extend(self.finish([a], iterations)),
                [a, b] => keys.extend(self.finish([a, b], iterations)),
                [a, b, c] => keys.extend(self.finish([a, b, c], iterations)),
                [a, b, c, d] => keys.extend(self.finish([a, b, c, d], iterations)),
                _ => unreachable!("a chunk is neither empty nor longer than it may be"),
            }
        }
        keys
    }

    /// Hashes the password and the salt: a few blocks, depending on their length.
    fn begin(self, job: &Job<'_>) -> Lane {
        let mut key = Zeroizing::new([0; BLOCK_LENGTH]);
        if job.password.len() > BLOCK_LENGTH {
            let digest = Sha256::digest(job.password);
            key.iter_mut().zip(digest).for_each(|(byte, of_digest)| *byte = of_digest);
        } else {
            key.iter_mut().zip(job.password).for_each(|(byte, given)| *byte = *given);
        }
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(job.password) else {
            unreachable!("HMAC takes a key of any length (RFC 2104)")
        };
        let first = mac.chain_update(job.salt).chain_update(1_u32.to_be_bytes()).finalize();
        Lane {
            inner: self.absorb(&key, INNER_PAD),
            outer: self.absorb(&key, OUTER_PAD),
            first: words(&first.into_bytes()),
        }
    }

    /// The state after a block of the key with a pad mixed in.
    #[expect(clippy::unused_self, reason = "to have one is the proof")]
    fn absorb(self, key: &[u8; BLOCK_LENGTH], pad: u8) -> Zeroizing<[u32; 8]> {
        let block = Zeroizing::new(key.map(|byte| byte ^ pad));
        // SAFETY: a `ShaExtensions` exists only if the processor has the instructions.
        unsafe { absorb(&words(block.as_slice())) }
    }

    #[expect(clippy::unused_self, reason = "to have one is the proof")]
    fn finish<const N: usize>(self, lanes: [&Lane; N], iterations: NonZeroU32) -> [Key; N] {
        // SAFETY: a `ShaExtensions` exists only if the processor has the instructions.
        unsafe { finish(lanes, iterations.get()) }
    }
}

/// Reads big-endian words (FIPS 180-4 section 3.1).
fn words<const N: usize>(bytes: &[u8]) -> Zeroizing<[u32; N]> {
    let mut words = Zeroizing::new([0; N]);
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    words
}

#[target_feature(enable = "sha,avx")]
fn absorb(block: &[u32; 16]) -> Zeroizing<[u32; 8]> {
    let start = [load(&INITIAL).state()];
    let message = std::array::from_fn(|quarter| vector(&block[4 * quarter..4 * quarter + 4]));
    let [end] = compress(&start, [message]);
    end.digest().store()
}

/// Runs the steps after the first one, all lanes side by side.
#[target_feature(enable = "sha,avx")]
fn finish<const N: usize>(lanes: [&Lane; N], iterations: u32) -> [Key; N] {
    let mut inner = lanes.map(|lane| load(&lane.inner).state());
    let mut outer = lanes.map(|lane| load(&lane.outer).state());
    let mut last = lanes.map(|lane| load(&lane.first));
    let mut sum = last;
    for _ in 1..iterations {
        for half in [&inner, &outer] {
            let ends = compress(half, last.map(|digest| digest.message()));
            for lane in 0..N {
                last[lane] = ends[lane].digest();
            }
        }
        for lane in 0..N {
            sum[lane].abcd = _mm_xor_si128(sum[lane].abcd, last[lane].abcd);
            sum[lane].efgh = _mm_xor_si128(sum[lane].efgh, last[lane].efgh);
        }
    }
    let keys = sum.map(|digest| {
        let mut key = Key::from([0; KEY_LENGTH]);
        for (bytes, word) in key.0.as_chunks_mut().0.iter_mut().zip(digest.store().iter()) {
            *bytes = word.to_be_bytes();
        }
        key
    });
    for lane in 0..N {
        inner[lane].wipe();
        outer[lane].wipe();
        last[lane].wipe();
        sum[lane].wipe();
    }
    keys
}

/// The states after one block each (FIPS 180-4 section 6.2.2), a block being four vectors.
#[inline]
#[target_feature(enable = "sha,avx")]
fn compress<const N: usize>(start: &[State; N], blocks: [[__m128i; 4]; N]) -> [State; N] {
    let (mut states, mut words) = (*start, blocks);
    // Four rounds of each lane in turn: while one waits, another continues.
    macro_rules! four_rounds {
        ($($number:literal)*) => {$(
            for lane in 0..N {
                let [now, second, third, fourth] =
                    [0, 1, 2, 3].map(|ahead| words[lane][($number + ahead) % 4]);
                let State { abef, cdgh } = states[lane];
                let keyed = _mm_add_epi32(now, vector(&ROUNDS[4 * $number..4 * $number + 4]));
                let cdgh = _mm_sha256rnds2_epu32(cdgh, abef, keyed);
                let abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(keyed, 0x0e));
                states[lane] = State { abef, cdgh };
                if $number < 12 {
                    let begun = _mm_sha256msg1_epu32(now, second);
                    let begun = _mm_add_epi32(begun, _mm_alignr_epi8(fourth, third, 4));
                    words[lane][$number % 4] = _mm_sha256msg2_epu32(begun, fourth);
                }
            }
        )*};
    }
    four_rounds!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    for lane in 0..N {
        states[lane].abef = _mm_add_epi32(states[lane].abef, start[lane].abef);
        states[lane].cdgh = _mm_add_epi32(states[lane].cdgh, start[lane].cdgh);
    }
    states
}

/// Four words as a vector, the first one lowest.
#[inline]
#[target_feature(enable = "avx")]
fn vector(words: &[u32]) -> __m128i {
    let word = |at: usize| words[at].cast_signed();
    _mm_set_epi32(word(3), word(2), word(1), word(0))
}

#[inline]
#[target_feature(enable = "avx")]
fn load(words: &[u32; 8]) -> Digest {
    Digest { abcd: vector(&words[..4]), efgh: vector(&words[4..]) }
}

impl State {
    #[inline]
    #[target_feature(enable = "avx")]
    fn digest(self) -> Digest {
        let abef = _mm_shuffle_epi32(self.abef, 0x1b);
        let ghcd = _mm_shuffle_epi32(self.cdgh, 0xb1);
        Digest { abcd: _mm_blend_epi16(abef, ghcd, 0xf0), efgh: _mm_alignr_epi8(ghcd, abef, 8) }
    }

    fn wipe(&mut self) {
        self.abef.zeroize();
        self.cdgh.zeroize();
    }
}

impl Digest {
    #[inline]
    #[target_feature(enable = "avx")]
    fn state(self) -> State {
        let badc = _mm_shuffle_epi32(self.abcd, 0xb1);
        let hgfe = _mm_shuffle_epi32(self.efgh, 0x1b);
        State { abef: _mm_alignr_epi8(badc, hgfe, 8), cdgh: _mm_blend_epi16(hgfe, badc, 0xf0) }
    }

    /// The digest as the whole rest of a message, padded (FIPS 180-4 section 5.1.1).
    #[inline]
    #[target_feature(enable = "avx")]
    fn message(self) -> [__m128i; 4] {
        let end_of_text = _mm_set_epi32(0, 0, 0, i32::MIN);
        let length = _mm_set_epi32(MESSAGE_BITS, 0, 0, 0);
        [self.abcd, self.efgh, end_of_text, length]
    }

    #[target_feature(enable = "avx")]
    fn store(self) -> Zeroizing<[u32; 8]> {
        let Self { abcd, efgh } = self;
        let words = [
            _mm_extract_epi32(abcd, 0),
            _mm_extract_epi32(abcd, 1),
            _mm_extract_epi32(abcd, 2),
            _mm_extract_epi32(abcd, 3),
            _mm_extract_epi32(efgh, 0),
            _mm_extract_epi32(efgh, 1),
            _mm_extract_epi32(efgh, 2),
            _mm_extract_epi32(efgh, 3),
        ];
        Zeroizing::new(words.map(i32::cast_unsigned))
    }

    fn wipe(&mut self) {
        self.abcd.zeroize();
        self.efgh.zeroize();
    }
}
