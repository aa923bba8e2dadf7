-- | A report over orders: who ordered for how much. docs/languages.md says what it reads and writes.
module Main (main) where

import Control.Exception (IOException, try)
import Control.Monad (forM_, when)
import Data.Bits (complement, shiftR, testBit, xor)
import qualified Data.ByteString.Char8 as B
import qualified Data.ByteString as Bytes
import Data.Char (isDigit)
import Data.List (sortOn)
import qualified Data.Map.Strict as Map
import Data.Maybe (fromMaybe)
import Data.Ord (Down (..))
import Data.Word (Word32)
import System.Environment (getArgs, lookupEnv)
import System.Exit (ExitCode (..), exitWith)
import System.IO (hPutStrLn, stderr)
import Text.Printf (printf)

type Prices = Map.Map B.ByteString Integer

main :: IO ()
main = do
  arguments <- getArgs
  top <- case arguments of
    [text] | Just top <- number 9 (B.pack text) -> pure (fromInteger top)
    _ -> failWith "usage: report TOP"
  prices <- either noPrices (pure . readPrices) =<< try (B.readFile "/data/prices.csv")
  currency <- fromMaybe "EUR" <$> lookupEnv "CURRENCY"
  input <- B.getContents

  let orders = [(place, order prices line) | (place, line) <- zip [1 :: Int ..] (B.lines input), not (B.null line)]
      accepted = [entry | (_, Just entry) <- orders]
      rejected = [place | (place, Nothing) <- orders]
      customers = sortOn (Down . snd) (Map.toAscList (Map.fromListWith (+) accepted))
      amount name cents = printf "%s %d.%02d %s\n" (B.unpack name) (cents `div` 100) (cents `mod` 100) currency :: IO ()
  forM_ rejected $ \place -> hPutStrLn stderr ("line " ++ show place ++ ": rejected")
  printf "orders %d, rejected %d\n" (length accepted) (length rejected)
  forM_ (take top customers) (uncurry amount)
  when (length customers > top) $ amount (B.pack "others") (sum (map snd (drop top customers)))
  amount (B.pack "total") (sum (map snd customers))
  printf "crc32 %08x\n" (crc32 input)
  when (not (null rejected)) $ exitWith (ExitFailure 3)

-- | Who ordered, and for how much.
order :: Prices -> B.ByteString -> Maybe (B.ByteString, Integer)
order prices line = case B.split ',' line of
  [customer, item, quantity] | not (B.null customer) -> do
    price <- Map.lookup item prices
    count <- number 6 quantity
    pure (customer, price * count)
  _ -> Nothing

readPrices :: B.ByteString -> Prices
readPrices text = Map.fromList
  [(item, cents) | [item, price] <- map (B.split ',') (drop 1 (B.lines text)), Just cents <- [number 9 price]]

-- | A number of 1 to so many decimal digits.
number :: Int -> B.ByteString -> Maybe Integer
number digits text
  | B.null text || B.length text > digits || not (B.all isDigit text) = Nothing
  | otherwise = fst <$> B.readInteger text

crc32 :: B.ByteString -> Word32
crc32 = complement . Bytes.foldl' step maxBound
  where
    step crc byte = iterate shift (crc `xor` fromIntegral byte) !! 8
    shift crc = (crc `shiftR` 1) `xor` (if testBit crc 0 then 0xedb88320 else 0)

noPrices :: IOException -> IO a
noPrices _ = failWith "no prices"

failWith :: String -> IO a
failWith reason = hPutStrLn stderr reason >> exitWith (ExitFailure 2)
