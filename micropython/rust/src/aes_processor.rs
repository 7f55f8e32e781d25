//! AES by the processor of an STM32, with the software behind it.

use crate::ffi::CrypRegisters;
use casemate_crypto_stm32::{Checked, Cryp};

/// The processor, as the driver seam knows it.
pub(crate) type Aes = Checked<Cryp<CrypRegisters>>;

pub(crate) static AES: Aes = Checked::cryp(Cryp::new(CrypRegisters));

#[cfg(test)]
mod tests {
    use crate::cipher::{MODE_CBC, MODE_CTR, MODE_ECB, STATE_SIZE, run, run_by, set_direction, start};
    use crate::{DRIVER, Error};
    use casemate_crypto::{Direction, Prefer};
    use casemate_crypto_stm32::model::CrypModel;
    use casemate_crypto_stm32::{Checked, Cryp};

    /// Objects of every mode take turns at one processor, and give what the software gives.
    #[test]
    fn objects_take_turns() {
        let model = CrypModel::default();
        let driver = Prefer::new(Checked::cryp(Cryp::new(&model)), &DRIVER);
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
                        run_by(&driver, ours, &mut our_data).unwrap();
                        run(theirs, &mut their_data).unwrap();
                        assert_eq!(our_data, their_data);
                    }
                }
            }
        }
        assert!(model.turned.get() > 100, "the processor was used");
        assert!(model.is_blank());
    }

    /// A processor that stops is an error once. Then the software goes on.
    #[test]
    fn a_fault_is_an_error_once() {
        let model = CrypModel::default();
        let driver = Prefer::new(Checked::cryp(Cryp::new(&model)), &DRIVER);
        let mut state = [0; STATE_SIZE];
        start(&mut state, MODE_ECB, &[1; 16], None).unwrap();
        set_direction(&mut state, Direction::Encrypt).unwrap();
        run_by(&driver, &mut state, &mut [0; 32]).unwrap();
        model.stop_after.set(Some(2));
        assert_eq!(run_by(&driver, &mut state, &mut [0; 32]), Err(Error::Hardware));
        let (mut ours, mut theirs) = ([0; 32], [0; 32]);
        run_by(&driver, &mut state, &mut ours).unwrap();
        run(&mut state, &mut theirs).unwrap();
        assert_eq!(ours, theirs);
    }
}
