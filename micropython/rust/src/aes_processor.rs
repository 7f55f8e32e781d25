//! AES by the processor of an STM32, with the software behind it.

use crate::ffi::AesRegisters;
use casemate_crypto_stm32::Checked;
#[cfg(not(feature = "stm32_aes"))]
use casemate_crypto_stm32::Cryp;

/// The processor, as the driver seam knows it.
#[cfg(not(feature = "stm32_aes"))]
pub(crate) type Aes = Checked<Cryp<AesRegisters>>;

#[cfg(not(feature = "stm32_aes"))]
pub(crate) static AES: Aes = Checked::cryp(Cryp::new(AesRegisters));

/// The processor, as the driver seam knows it.
#[cfg(feature = "stm32_aes")]
pub(crate) type Aes = Checked<casemate_crypto_stm32::Aes<AesRegisters>>;

#[cfg(feature = "stm32_aes")]
pub(crate) static AES: Aes = {
    use casemate_crypto_stm32::AesGeneration;
    let generation = if cfg!(feature = "stm32_aes_third") {
        AesGeneration::Third
    } else if cfg!(feature = "stm32_aes_first") {
        AesGeneration::First
    } else {
        AesGeneration::Second
    };
    Checked::aes(casemate_crypto_stm32::Aes::new(AesRegisters, generation))
};

#[cfg(test)]
mod tests {
    use crate::cipher::{MODE_CBC, MODE_CTR, MODE_ECB, STATE_SIZE, run, run_by, set_direction, start};
    use crate::{DRIVER, Error};
    use casemate_crypto::{Cipher, Direction, Prefer};
    use casemate_crypto_stm32::model::{AesModel, CrypModel};
    use casemate_crypto_stm32::{Aes, AesGeneration, Checked, Cryp};

    const GENERATIONS: [AesGeneration; 3] =
        [AesGeneration::First, AesGeneration::Second, AesGeneration::Third];

    /// Objects of every mode take turns at one processor, and give what the software gives.
    #[test]
    fn objects_take_turns() {
        let model = CrypModel::default();
        take_turns(&Prefer::new(Checked::cryp(Cryp::new(&model)), &DRIVER));
        assert!(model.turned.get() > 100, "the processor was used");
        assert!(model.is_blank());
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            take_turns(&Prefer::new(Checked::aes(Aes::new(&model, generation)), &DRIVER));
            assert!(model.turned.get() > 50, "the processor was used");
            assert!(model.is_blank());
        }
    }

    fn take_turns<D: Cipher>(driver: &D) {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            for size in [16, 32] {
                let key: Vec<u8> = (0..size).collect();
                let mut pairs = [MODE_ECB, MODE_CBC, MODE_CTR].map(|mode| {
                    let mut state = [0; STATE_SIZE];
                    start(&mut state, mode, &key, Some(&[0xff; 16])).unwrap();
                    set_direction(&mut state, direction).unwrap();
                    (state, state)
                });
                for length in [16, 0, 48, 160] {
                    for (ours, theirs) in &mut pairs {
                        // CTR takes any length.
                        let length = if ours[0] == MODE_CTR { length + 5 } else { length };
                        let (mut our_data, mut their_data) = (vec![0x3c; length], vec![0x3c; length]);
                        run_by(driver, ours, &mut our_data).unwrap();
                        run(theirs, &mut their_data).unwrap();
                        assert_eq!(our_data, their_data);
                    }
                }
            }
        }
    }

    /// A processor that stops is an error once. Then the software goes on.
    #[test]
    fn a_fault_is_an_error_once() {
        let model = CrypModel::default();
        let driver = Prefer::new(Checked::cryp(Cryp::new(&model)), &DRIVER);
        fail_once(&driver, || model.stop_after.set(Some(2)));
        for generation in GENERATIONS {
            let model = AesModel::new(generation);
            let driver = Prefer::new(Checked::aes(Aes::new(&model, generation)), &DRIVER);
            fail_once(&driver, || model.stop_after.set(Some(2)));
        }
    }

    fn fail_once<D: Cipher>(driver: &D, stop: impl Fn()) {
        let mut state = [0; STATE_SIZE];
        start(&mut state, MODE_ECB, &[1; 16], None).unwrap();
        set_direction(&mut state, Direction::Encrypt).unwrap();
        run_by(driver, &mut state, &mut [0; 32]).unwrap();
        stop();
        assert_eq!(run_by(driver, &mut state, &mut [0; 32]), Err(Error::Hardware));
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        run_by(driver, &mut state, &mut ours).unwrap();
        run(&mut state, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
}
