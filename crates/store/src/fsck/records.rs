//! `fsck` of what others signed, and of scripts: checkpoints, rounds, settings, admissions.

use wire::{Body, CodeHash, NodeId, Signed, checkpoint::SignedCheckpoint, merkle::TreeHead};

use super::Check;
use crate::StoreError;

impl Check<'_> {
    /// The own checkpoint, if its signature is good and it says what its row says.
    pub(super) fn own_checkpoint(&mut self) -> Result<Option<TreeHead>, StoreError> {
        let Some(stored) = self.reader.latest_checkpoint()? else {
            return Ok(None);
        };
        let good = self.note(&self.owner().node, &stored.head, &stored.note);
        Ok(good.then_some(stored.head))
    }

    pub(super) fn witnessed(&mut self) -> Result<(), StoreError> {
        let sql = "SELECT node FROM witnessed ORDER BY node";
        for node in self.reader.all(sql, [], |row| Ok(NodeId(row.get(0)?)))? {
            if let Some(stored) = self.reader.witnessed(&node)? {
                self.note(&node, &stored.head, &stored.note);
            }
        }
        Ok(())
    }

    /// Whether a note is `node`'s checkpoint of `head`.
    fn note(&mut self, node: &NodeId, head: &TreeHead, note: &str) -> bool {
        match SignedCheckpoint::open(&self.owner().network, node, &[], note) {
            Ok(signed) if signed.head == *head => return true,
            Ok(_) => {
                self.found(format!("the checkpoint of {node} is of another head than its row"))
            }
            Err(error) => self.found(format!("the checkpoint of {node}: {error}")),
        }
        false
    }

    /// The statements of others, each under the number that it states. A table of
    /// statements of one kind goes by the kind's name.
    pub(super) fn records<B: Body>(
        &mut self,
        number_column: &str,
        bytes_column: &str,
        number_of: impl Fn(&B) -> u64,
    ) -> Result<(), StoreError> {
        let sql = format!("SELECT {number_column}, {bytes_column} FROM {}", B::KIND);
        let mut statement = self.reader.connection().prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (number, bytes): (u64, Vec<u8>) = (row.get(0)?, row.get(1)?);
            match Signed::<B>::open(&self.owner().network, &bytes) {
                Ok(signed) if number_of(&signed.body) == number => {}
                Ok(_) => self.found(format!("{} {number}: it states another number", B::KIND)),
                Err(error) => self.found(format!("{} {number}: {error}", B::KIND)),
            }
        }
        Ok(())
    }

    pub(super) fn scripts(&mut self) -> Result<(), StoreError> {
        let mut statement =
            self.reader.connection().prepare("SELECT hash, bytes, size FROM code")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (hash, bytes): (CodeHash, Vec<u8>) = (CodeHash(row.get(0)?), row.get(1)?);
            if CodeHash::of(&bytes) != hash || row.get::<_, u64>(2)? != bytes.len() as u64 {
                self.found(format!("script {hash}: its bytes do not have its hash and size"));
            }
        }
        Ok(())
    }
}
