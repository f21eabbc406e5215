//! Argon2 hashes of secrets, in memory that goes back to the system at once.

use allocator_api2::{alloc::System, vec::Vec as SystemVec};
use argon2::{
    Algorithm, Argon2, Block, Params, Version,
    password_hash::phc::{Output, ParamsString, PasswordHash, Salt},
};

/// Blocks of 1 KiB that are asked for, of which the hash touches 19 MiB and the others cost nothing.
/// The program's own allocator keeps such a piece for the next one who wants it, and so does the C
/// library's up to 32 MiB: a server whose keys are known would have 19 MiB more for ever. What is
/// larger the C library has from the system and gives back to it.
const ROOM: usize = 33 * 1024;

/// The hash of a new secret, PHC text.
///
/// # Errors
/// When there are no random bits, or no memory.
pub(super) fn hash_of(secret: &[u8]) -> Result<String, String> {
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
    let (algorithm, version, params) =
        (Algorithm::default(), Version::default(), Params::default());
    let phc = |error: argon2::password_hash::phc::Error| error.to_string();
    let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
    let salt = Salt::new(&salt).map_err(phc)?;
    let text = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params).map_err(|error| error.to_string())?,
        salt: Some(salt),
        hash: None,
    };
    fill(&Argon2::new(algorithm, version, params), (secret, &salt), &mut output)
        .map_err(|error| error.to_string())?;
    let hash = Some(Output::new(&output).map_err(phc)?);
    Ok(PasswordHash { hash, ..text }.to_string())
}

/// Whether a hash, PHC text, is that of a secret.
pub(super) fn fits(secret: &[u8], hash: &str) -> bool {
    let made = |hash: &PasswordHash| {
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = hash.version.map_or(Ok(Version::default()), Version::try_from).ok()?;
        let argon2 = Argon2::new(algorithm, version, Params::try_from(hash).ok()?);
        let mut output = vec![0; hash.hash.as_ref()?.len()];
        fill(&argon2, (secret, hash.salt.as_ref()?), &mut output).ok()?;
        Output::new(&output).ok()
    };
    let Ok(hash) = PasswordHash::new(hash) else { return false };
    // Compared in constant time.
    made(&hash).is_some_and(|made| hash.hash == Some(made))
}

fn fill(
    argon2: &Argon2<'_>,
    (secret, salt): (&[u8], &[u8]),
    output: &mut [u8],
) -> Result<(), argon2::Error> {
    let blocks = argon2.params().block_count();
    let mut memory = SystemVec::new_in(System);
    memory.try_reserve_exact(blocks.max(ROOM)).map_err(|_| argon2::Error::OutOfMemory)?;
    memory.resize(blocks, Block::default());
    argon2.hash_password_into_with_memory(secret, salt, output, &mut memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use argon2::password_hash::{PasswordHasher, PasswordVerifier};

    #[test]
    fn hashes_are_those_of_the_crate_s_own_way() {
        let secret = b"a secret";
        let theirs = Argon2::default().hash_password(secret).unwrap().to_string();
        let ours = hash_of(secret).unwrap();
        for hash in [&theirs, &ours] {
            assert!(fits(secret, hash));
            assert!(!fits(b"another", hash));
            let hash = PasswordHash::new(hash).unwrap();
            assert!(Argon2::default().verify_password(secret, &hash).is_ok());
        }
        let shape = |hash: &str| hash.rsplitn(3, '$').last().map(str::to_owned);
        assert_eq!(shape(&ours), shape(&theirs));
        assert_ne!(ours, hash_of(secret).unwrap(), "salted");
    }

    #[test]
    fn other_parameters_are_honoured() {
        for (algorithm, params) in [
            (Algorithm::Argon2id, Params::new(8, 1, 1, None).unwrap()),
            (Algorithm::Argon2i, Params::new(64, 2, 2, Some(20)).unwrap()),
        ] {
            let theirs = Argon2::new(algorithm, Version::V0x13, params);
            let hash = theirs.hash_password(b"x").unwrap().to_string();
            assert!(fits(b"x", &hash) && !fits(b"y", &hash), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_fits_nothing() {
        let whole = hash_of(b"x").unwrap();
        let (without, _) = whole.rsplit_once('$').unwrap();
        let unknown = whole.replace("argon2id", "argon2x");
        for text in ["", "x", "$argon2id$", without, &unknown, "$argon2id$v=19$m=8,t=0,p=1$YQ$YQ"] {
            assert!(!fits(b"x", text), "{text}");
        }
    }
}
