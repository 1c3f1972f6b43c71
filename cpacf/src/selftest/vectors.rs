//! Published vectors of the power-on self-test. Each group names its source.

use super::unhex;

// GCM specification (McGrew, Viega), test cases 4 and 16, as submitted for SP 800-38D.
/// Test case 4 uses the first half.
pub(super) const GCM_KEY: [u8; 32] =
    unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
pub(super) const GCM_NONCE: [u8; 12] = unhex("cafebabefacedbaddecaf888");
pub(super) const GCM_AAD: [u8; 20] = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
pub(super) const GCM_PLAINTEXT: [u8; 60] = unhex(
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6\
     b525b16aedf5aa0de657ba637b39",
);
pub(super) const GCM_128_SEALED: [u8; 76] = unhex(
    "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac84\
     aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47",
);
pub(super) const GCM_256_SEALED: [u8; 76] = unhex(
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b105682\
     8838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
);

// RFC 8439 section 2.8.2.
pub(super) const CHACHA_KEY: [u8; 32] =
    unhex("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f");
pub(super) const CHACHA_NONCE: [u8; 12] = unhex("070000004041424344454647");
pub(super) const CHACHA_AAD: [u8; 12] = unhex("50515253c0c1c2c3c4c5c6c7");
pub(super) const CHACHA_PLAINTEXT: &[u8] =
    b"Ladies and Gentlemen of the class of '99: If I could offer you \
    only one tip for the future, sunscreen would be it.";
pub(super) const CHACHA_SEALED: [u8; 130] = unhex(
    "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da92\
     728b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b\
     4831d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691",
);

// FIPS 180 examples: one block, and a message of more than one block.
pub(super) const SHA_SHORT: &[u8] = b"abc";
pub(super) const SHA_LONG: &[u8] = b"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn\
    hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu";
pub(super) const SHA256_SHORT: [u8; 32] =
    unhex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
pub(super) const SHA256_LONG: [u8; 32] =
    unhex("cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
pub(super) const SHA384_SHORT: [u8; 48] = unhex(
    "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c8\
     25a7",
);
pub(super) const SHA384_LONG: [u8; 48] = unhex(
    "09330c33f71147e83d192fc782cd1b4753111b173b3b05d22fa08086e3b0f712fcc7c71a557e2db966c3e9fa9174\
     6039",
);
pub(super) const SHA512_SHORT: [u8; 64] = unhex(
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fe\
     ebbd454d4423643ce80e2a9ac94fa54ca49f",
);
pub(super) const SHA512_LONG: [u8; 64] = unhex(
    "8e959b75dae313da8cf4f72814fc143f8f7779c6eb9f7fa17299aeadb6889018501d289e4900f7e4331b99dec4b5\
     433ac7d329eeb6dd26545e96e55b874be909",
);

// RFC 4231 test cases 2 and 6 (a key longer than any block).
pub(super) const HMAC_SHORT_KEY: &[u8] = b"Jefe";
pub(super) const HMAC_SHORT_TEXT: &[u8] = b"what do ya want for nothing?";
pub(super) const HMAC_LONG_KEY: &[u8] = &[0xaa; 131];
pub(super) const HMAC_LONG_TEXT: &[u8] = b"Test Using Larger Than Block-Size Key - Hash Key First";
pub(super) const HMAC256_SHORT: [u8; 32] =
    unhex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
pub(super) const HMAC256_LONG: [u8; 32] =
    unhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
pub(super) const HMAC384_SHORT: [u8; 48] = unhex(
    "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab2\
     1649",
);
pub(super) const HMAC384_LONG: [u8; 48] = unhex(
    "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f4\
     4952",
);
pub(super) const HMAC512_SHORT: [u8; 64] = unhex(
    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0\
     e6fdcaeab1a34d4a6b4b636e070a38bce737",
);
pub(super) const HMAC512_LONG: [u8; 64] = unhex(
    "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a\
     1e5295e64f73f63f0aec8b915a985d786598",
);

// RFC 5869 appendix A.1.
pub(super) const HKDF256_IKM: [u8; 22] = unhex("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b");
pub(super) const HKDF256_SALT: [u8; 13] = unhex("000102030405060708090a0b0c");
pub(super) const HKDF256_INFO: [u8; 10] = unhex("f0f1f2f3f4f5f6f7f8f9");
pub(super) const HKDF256_OKM: [u8; 42] =
    unhex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");

// C2SP Wycheproof hkdf_sha384_test.json, test 71.
pub(super) const HKDF384_IKM: [u8; 48] = unhex(
    "66c33e63e4260280ac52898eff61a515465cb005a4b80ec2a62e3d430b9e9e9381f6e6d9fbb1a2a633e8b75dce8c\
     2929",
);
pub(super) const HKDF384_SALT: [u8; 48] = unhex(
    "718c78be3e85766bc454f19becd469bc2eb1d58e606894091700420d9f97bcb03db02c43e742808fc2e2ba88185f\
     dba9",
);
pub(super) const HKDF384_INFO: [u8; 8] = unhex("ad03d32ef7b7aaf2");
pub(super) const HKDF384_OKM: [u8; 88] = unhex(
    "73991ecc3e8334b0ace9f9cd82d95bb14dc9e060a764015a735fd4439e15b905d6067e797a3c3761f898158168fb\
     fc219395fc90182968ac6362e805100b07a968308c261ef3d3cc1045a246dcf079d903074e24b8802e9c",
);

// C2SP Wycheproof hkdf_sha512_test.json, test 71.
pub(super) const HKDF512_IKM: [u8; 64] = unhex(
    "c132ac861d00e8aa82470baf3be3851c9f77f96b19cc2c3eb5558c20915ad16cb45c50db9b230c5279bf7b38fbf5\
     0ce68b60d7b230530f3a5f4016883f217168",
);
pub(super) const HKDF512_SALT: [u8; 64] = unhex(
    "4c3582c867fab84ca075da5aef6b78b8db982ee4fe33fb4500294659aad63dd7677f2f256bf719c6796ea8fdf12c\
     46863064875a529aeef9318f344335610f82",
);
pub(super) const HKDF512_INFO: [u8; 8] = unhex("7573b95f1d8ee5d0");
pub(super) const HKDF512_OKM: [u8; 120] = unhex(
    "d93663825963a4a2328a6e56ee7d108de95b7c981c3e62dc8df40105e4995137ca8cfa91cbffb447ffd80b0b9015\
     78aaabc6c56b3aa66734fbe98b95c1125990e14533e13d049f025880fb2834c8e5e2bbc8719deb3b207429397c19\
     beb0160f46441f95f8b11ab2ead32c64c12d9f46d6aaa58f9e685771",
);

// NIST CAVP component testing, TLS 1.2 key derivation: master secrets.
pub(super) const PRF256_SECRET: [u8; 48] = unhex(
    "f8938ecc9edebc5030c0c6a441e213cd24e6f770a50dda07876f8d55da062bcadb386b411fd4fe4313a604fce6c1\
     7fbc",
);
pub(super) const PRF256_SEED1: [u8; 32] =
    unhex("36c129d01a3200894b9179faac589d9835d58775f9b5ea3587cb8fd0364cae8c");
pub(super) const PRF256_SEED2: [u8; 32] =
    unhex("f6c9575ed7ddd73e1f7d16eca115415812a43c2b747daaaae043abfb50053fce");
pub(super) const PRF256_OUT: [u8; 48] = unhex(
    "202c88c00f84a17a20027079604787461176455539e705be730890602c289a5001e34eeb3a043e5d52a65e661251\
     88bf",
);
pub(super) const PRF384_SECRET: [u8; 48] = unhex(
    "a5e2642633f5b8c81ad3fe0c2fe3a8e5ef806b06121dd10df4bb0fe857bfdcf522558e05d2682c9a80c741a3aab1\
     716f",
);
pub(super) const PRF384_SEED1: [u8; 32] =
    unhex("abe4bf5527429ac8eb13574d2709e8012bd1a113c6d3b1d3aa2c3840518778ac");
pub(super) const PRF384_SEED2: [u8; 32] =
    unhex("cb6e0b3eb02976b6466dfa9651c2919414f1648fd3a7838d02153e5bd39535b6");
pub(super) const PRF384_OUT: [u8; 48] = unhex(
    "b4d49bfa87747fe815457bc3da15073d6ac73389e703079a3503c09e14bd559a5b3c7c601c7365f6ea8c68d3d959\
     6827",
);
pub(super) const PRF512_SECRET: [u8; 48] = unhex(
    "dfef39af25c12663a91ee5d27042b9644a16ef55b81055d1bd7dcb0b8f06eb001708cdefcf82591defca1a6f1ac6\
     93ab",
);
pub(super) const PRF512_SEED1: [u8; 32] =
    unhex("78bc5298dfe9cf8ed336c2e2f0f6b46e2456f39f35f1143cd21eaa16277025b2");
pub(super) const PRF512_SEED2: [u8; 32] =
    unhex("e2339a6c681eb30808883971b1ce5b9b1ece0f3d011a96a7fff1f5f9d80ffd4b");
pub(super) const PRF512_OUT: [u8; 48] = unhex(
    "a70c5fe8d34b645a20ce98969bd30858e729c77c8a5f05d3e289219d6b5752b75b75e1ca00d3329658d7f188ed1a\
     b7e0",
);

// NIST CAVP ECC CDH primitive (SP 800-56A), count 0 of each curve: private key, peer, secret.
pub(super) const ECDH256_PRIVATE: [u8; 32] =
    unhex("7d7dc5f71eb29ddaf80d6214632eeae03d9058af1fb6d22ed80badb62bc1a534");
pub(super) const ECDH256_PEER: [u8; 65] = unhex(
    "04700c48f77f56584c5cc632ca65640db91b6bacce3a4df6b42ce7cc838833d287db71e509e3fd9b060ddb20ba5c\
     51dcc5948d46fbf640dfe0441782cab85fa4ac",
);
pub(super) const ECDH256_SECRET: [u8; 32] =
    unhex("46fc62106420ff012e54a434fbdd2d25ccc5852060561e68040dd7778997bd7b");
pub(super) const ECDH384_PRIVATE: [u8; 48] = unhex(
    "3cc3122a68f0d95027ad38c067916ba0eb8c38894d22e1b15618b6818a661774ad463b205da88cf699ab4d43c9cf\
     98a1",
);
pub(super) const ECDH384_PEER: [u8; 97] = unhex(
    "04a7c76b970c3b5fe8b05d2838ae04ab47697b9eaf52e764592efda27fe7513272734466b400091adbf2d68c58e0\
     c50066ac68f19f2e1cb879aed43a9969b91a0839c4c38a49749b661efedf243451915ed0905a32b060992b468c64\
     766fc8437a",
);
pub(super) const ECDH384_SECRET: [u8; 48] = unhex(
    "5f9d29dc5e31a163060356213669c8ce132e22f57c9a04f40ba7fcead493b457e5621e766c40a2e3d4d6a04b25e5\
     33f1",
);
pub(super) const ECDH521_PRIVATE: [u8; 66] = unhex(
    "017eecc07ab4b329068fba65e56a1f8890aa935e57134ae0ffcce802735151f4eac6564f6ee9974c5e6887a1fefe\
     e5743ae2241bfeb95d5ce31ddcb6f9edb4d6fc47",
);
pub(super) const ECDH521_PEER: [u8; 133] = unhex(
    "0400685a48e86c79f0f0875f7bc18d25eb5fc8c0b07e5da4f4370f3a9490340854334b1e1b87fa395464c6062612\
     4a4e70d0f785601d37c09870ebf176666877a2046d01ba52c56fc8776d9e8f5db4f0cc27636d0b741bbe05400697\
     942e80b739884a83bde99e0f6716939e632bc8986fa18dccd443a348b6c3e522497955a4f3c302f676",
);
pub(super) const ECDH521_SECRET: [u8; 66] = unhex(
    "005fc70477c3e63bc3954bd0df3ea0d1f41ee21746ed95fc5e1fdf90930d5e136672d72cc770742d1711c3c3a4c3\
     34a0ad9759436a4d3c5bf6e74b9578fac148c831",
);

// RFC 7748 section 5.2, first vector.
pub(super) const X25519_PRIVATE: [u8; 32] =
    unhex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
pub(super) const X25519_PEER: [u8; 32] =
    unhex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
pub(super) const X25519_SECRET: [u8; 32] =
    unhex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");

// RFC 6979 appendix A.2.5 to A.2.7, message "sample": private key, public point, signature.
pub(super) const ECDSA_MESSAGE: &[u8] = b"sample";
pub(super) const ECDSA256_PRIVATE: [u8; 32] =
    unhex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
pub(super) const ECDSA256_POINT: [u8; 65] = unhex(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb67903fe1008b8bc99a41ae9e956\
     28bc64f2f1b20c2d7e9f5177a3c294d4462299",
);
pub(super) const ECDSA256_SIGNATURE: [u8; 72] = unhex(
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716022100f7cb1c942d65\
     7c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
);
pub(super) const ECDSA384_PRIVATE: [u8; 48] = unhex(
    "6b9d3dad2e1b8c1c05b19875b6659f4de23c3b667bf297ba9aa47740787137d896d5724e4c70a825f872c9ea60d2\
     edf5",
);
pub(super) const ECDSA384_POINT: [u8; 97] = unhex(
    "04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a2545154\
     80bc138015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd\
     2533264720",
);
pub(super) const ECDSA384_SIGNATURE: [u8; 104] = unhex(
    "306602310094edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e\
     36dd1e80fabe4602310099ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145\
     786e679e7b82c71a38628ac8",
);
pub(super) const ECDSA521_PRIVATE: [u8; 66] = unhex(
    "00fad06daa62ba3b25d2fb40133da757205de67f5bb0018fee8c86e1b68c7e75caa896eb32f1f47c70855836a6d1\
     6fcc1466f6d8fbec67db89ec0c08b0e996b83538",
);
pub(super) const ECDSA521_POINT: [u8; 133] = unhex(
    "0401894550d0785932e00eaa23b694f213f8c3121f86dc97a04e5a7167db4e5bcd371123d46e45db6b5d5370a7f2\
     0fb633155d38ffa16d2bd761dcac474b9a2f5023a400493101c962cd4d2fddf782285e64584139c2f91b47f87ff8\
     2354d6630f746a28a0db25741b5b34a828008b22acc23f924faafbd4d33f81ea66956dfeaa2bfdfcf5",
);
pub(super) const ECDSA521_SIGNATURE: [u8; 138] = unhex(
    "308187024200c328fafcbd79dd77850370c46325d987cb525569fb63c5d3bc53950e6d4c5f174e25a1ee9017b5d4\
     50606add152b534931d7d4e8455cc91f9b15bf05ec36e377fa0241617cce7cf5064806c467f678d3b4080d6f1cc5\
     0af26ca209417308281b68af282623eaa63e5b5c0723d8b8c37ff0777b1a20f8ccb1dccc43997f1ee0e44da4a67a",
);

// RFC 8032 section 7.1, test 2.
pub(super) const ED25519_KEY: [u8; 32] =
    unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
pub(super) const ED25519_MESSAGE: &[u8] = &[0x72];
pub(super) const ED25519_SIGNATURE: [u8; 64] = unhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f1\
     1d8c387b2eaeb4302aeeb00d291612bb0c00",
);

// C2SP Wycheproof rsa_signature_2048_sha256_test.json, test 4.
pub(super) const RSA_MESSAGE: &[u8] = b"123400";
pub(super) const RSA_PKCS1_KEY: [u8; 270] = unhex(
    "3082010a0282010100a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224e637f9746d3f\
     7cafd31878d80325b6ef5a1700f65903b469429e89d6eac8845097b5ab393189db92512ed8a7711a1253facd20f7\
     9c15e8247f3d3e42e46e48c98e254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d9814c\
     22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece6b4c03145b5d3495d4ed5411eb878daf\
     05fd7afc3e09ada0f1126422f590975a1969816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0\
     f7c1a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9d50203010001",
);
pub(super) const RSA_PKCS1_SIGNATURE: [u8; 256] = unhex(
    "1758eb94588e6fc4f50c1be1afcaa41027869f304cad513b1fb12c2f446d63cdc05c4830a7e3e630da7b2da4f786\
     7cc173bf6420f9732277282596de41ded32e21d0cc31441174da8765f57419c7764ea758f55bc17646eb100c435d\
     1ac0eed6fc7ba6de5f832094ee2f479979765e05ac9976788db3c241a9e32a0da864f0019a87646ba623d63f4411\
     af5dee1be9ec488c7e3e1b231479de70b9ac5f78a17b1f4120aece45f26c07e7bb345fdfeb05e14bcaacc614672a\
     465fc523624cb19f66f9c6c3f642b832ca44cb25176d679f0e05606c3fed022cac24c2bf960a406d48818e3eb7ed\
     53b0446032469047dfed95fc18088c92d91d93722c47f88163a8",
);

// C2SP Wycheproof rsa_pss_2048_sha256_mgf1_32_test.json, test 4; the same message.
pub(super) const RSA_PSS_KEY: [u8; 270] = unhex(
    "3082010a0282010100a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224e637f9746d3f\
     7cafd31878d80325b6ef5a1700f65903b469429e89d6eac8845097b5ab393189db92512ed8a7711a1253facd20f7\
     9c15e8247f3d3e42e46e48c98e254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d9814c\
     22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece6b4c03145b5d3495d4ed5411eb878daf\
     05fd7afc3e09ada0f1126422f590975a1969816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0\
     f7c1a45d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9d50203010001",
);
pub(super) const RSA_PSS_SIGNATURE: [u8; 256] = unhex(
    "68caf07e71ee654ffabf07d342fc4059deb4f7e5970746c423b1e8f668d5332275cc35eb61270aebd27855b1e80d\
     59def47fe8882867fd33c2308c91976baa0b1df952caa78db4828ab81e79949bf145cbdfd1c4987ed036f81e8442\
     081016f20fa4b587574884ca6f6045959ce3501ae7c02b1902ec1d241ef28dee356c0d30d28a950f1fbc683ee7d9\
     aad26b048c13426fe3975d5638afeb5b9c1a99d162d3a5810e8b074d7a2eae2be52b577151f76e1f734b0a956ef4\
     f22be64dc20a81ad1316e4f79dff5fc41fc08a20bc612283a88415d41595bfea66d59de7ac12e230f72244ad9905\
     aef0ead3fa41ed70bf4218863d5f041292f2d14ce0a7271c6d36",
);
