//! Makes and signs SIGSTRUCTs.

use aws_lc_rs::digest;
use num_bigint::BigUint;

/// A key with exponent 3, made for these tests.
const MODULUS: &str = "f2ce612fbc7d919620f9403ff68496e12b340a3709f6455bcd0d0afef633be1fdce1e7fbfe784e5edf3850a65d\
     72dae44fc28b4f0019d6340094f2f6d9d74287885db9c37e88f865e67a8a2c67d8840bc8090fa6b64b33597e27\
     3621e49493557eb5e4dd24b4d5ef47ad25056661e31d02fea2753898c5ce6f71830b07dad6de0cf4ef4af09d04\
     229201521bca9336185c2f91133acf2c46d944be9c5c421a62fcfc9eedca441f735d99c177ec46abfcc6ee5638\
     3807b339aa6832af1cb51a84f0a7f397d3af588bce4b25a45779ae79ae6384412f1bf506e2b1a54f025c5a20d9\
     0a94674891d0ac4f1ef6962515f24c775798b395afefe4fd2e57438fd8ceeda7b497bf7f9f492e71870195775c\
     d818886db98e03071c992e2c21de4922e673cd0d856b2b61d80105287f13b58bbc45a8f94d1962bc415390dfc6\
     aac6f480dcfb24927d32303511f7c766f68184d52076021dd7b344423b7693a78bcc60f80b7f3470fffd656b06\
     1e553b8bf287a70ca6f5d686d68c88fd59302a02426d4d77";
const PRIVATE_EXPONENT: &str = "a1deeb752853b66415fb802aa45864961ccd5c24b14ed8e7de08b1ff4ecd296a93414552a9a5899494d035c43e\
     4c91ed8a81b234aabbe422ab0df74f3be4d7050593d12cff05faee99a706c8453b02b2855b5fc479877790fec4\
     cec1430db78e5479433e18788e9f851e18ae4441421357546c4e25bb2e899fa102075a91e49408a34a31f5be02\
     c1b6ab8c12870ccebae81fb60cd1df72d9e62dd4683d8166eca8a869f3dc2d6a4ce9112ba5482f1d532f498ed0\
     255a777bc6f021ca13236701fea04ca4c9620bf84e69f6864ac95623edec1aa2d1c11546558b30baa39981f15f\
     daeb3873122e0b702e6b425eed7a35d52057ca827b8a679d42b1f750bee376d8655ad53e64af5b038e4531e1de\
     f0231917a5d005e17110bda57e59171ffe19303d39fb06b1ac2fab677368463710983fbe8d0f82ecb1a29648f8\
     02099b10f8870f75176b29a8a87c509691cd8b05f39fa2c4c3d18a98ec9dfd6e11c195ae8296d04232d1ada40e\
     a722da94bdbda491badf09a42a05c361a295726e8bf203ab";

pub const SIGSTRUCT_SIZE: usize = 1808;

/// A SIGSTRUCT for an enclave, with no signature yet.
pub fn unsigned(mrenclave: &[u8; 32]) -> [u8; SIGSTRUCT_SIZE] {
    let mut sigstruct = [0; SIGSTRUCT_SIZE];
    sigstruct[..16].copy_from_slice(&[6, 0, 0, 0, 0xe1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]);
    sigstruct[20..24].copy_from_slice(&0x2026_1125_u32.to_le_bytes());
    sigstruct[24..40].copy_from_slice(&[1, 1, 0, 0, 0x60, 0, 0, 0, 0x60, 0, 0, 0, 1, 0, 0, 0]);
    put(&mut sigstruct, 128, &hexadecimal(MODULUS));
    sigstruct[512] = 3;
    sigstruct[900..908].copy_from_slice(&[1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    sigstruct[928..944].copy_from_slice(&[4, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]);
    sigstruct[944..960].fill(0xff);
    sigstruct[960..992].copy_from_slice(mrenclave);
    sigstruct[1024..1028].copy_from_slice(&[0x34, 0x12, 5, 0]);
    sigstruct
}

/// Signs, and fills in the quotients.
pub fn sign(sigstruct: &mut [u8; SIGSTRUCT_SIZE]) {
    let mut signed = sigstruct[..128].to_vec();
    signed.extend_from_slice(&sigstruct[900..1028]);
    let mut message = vec![0, 1];
    message.resize(384 - 32 - 19 - 1, 0xff);
    message.push(0);
    message.extend_from_slice(&hex::decode("3031300d060960864801650304020105000420").unwrap());
    message.extend_from_slice(digest::digest(&digest::SHA256, &signed).as_ref());

    let modulus = hexadecimal(MODULUS);
    let signature =
        BigUint::from_bytes_be(&message).modpow(&hexadecimal(PRIVATE_EXPONENT), &modulus);
    let square = &signature * &signature;
    let quotient_1 = &square / &modulus;
    let quotient_2 = (square - &quotient_1 * &modulus) * &signature / &modulus;
    put(sigstruct, 516, &signature);
    put(sigstruct, 1040, &quotient_1);
    put(sigstruct, 1424, &quotient_2);
}

/// What MRSIGNER becomes.
pub fn mrsigner() -> Vec<u8> {
    let modulus = hexadecimal(MODULUS).to_bytes_le();
    digest::digest(&digest::SHA256, &modulus).as_ref().to_vec()
}

fn hexadecimal(digits: &str) -> BigUint {
    BigUint::parse_bytes(digits.as_bytes(), 16).unwrap()
}

fn put(sigstruct: &mut [u8; SIGSTRUCT_SIZE], offset: usize, number: &BigUint) {
    let bytes = number.to_bytes_le();
    sigstruct[offset..offset + 384].fill(0);
    sigstruct[offset..offset + bytes.len()].copy_from_slice(&bytes);
}
