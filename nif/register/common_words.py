"""English words that are also what companies, products and bands are called.

A name that is one of these is found only with its capital, and not where a sentence begins. The
list is short on purpose: a name that it lacks brings up one question too many, never too few.
"""

_WORDS = """
air all amp angel anthem arc arch arena art atlas audio back balance band bandwagon bar base
basement bass bay beacon bear beat beats beggars believe bell bird black blackbird block bloom
blue board boat bond book boost boss bounce bounty box brain branch brave bread break breakthrough
bridge bright broadcast buddy bull buzz cable cake camp canopy canvas capital castle catalyst
chain challenge channel chapter charge chart chase chief chord circle city class clear cloud
clover club coda code coin collective color column comet common compass cookie copper core count
cover craft creator crew cross crown crystal cube curve cut daily dance dash data dawn day deal
decade deep delta depth dice direct disc disco dispatch domino door double dream drift drive drop
drum drums dusk eagle early earth east echo eclipse edge edition element ember encore engine
ensemble epic equal era event ever exit express eye face fact factor factory fader falcon fan fans
fashion fast feed field film fire first flame flash fleet flight flip flow fly focus folk force
form forward fountain fox frame free friday friend front fuel full fund funk fuse future gain game
garden gate gem general genius ghost giant glass globe glow go gold good grand green grid groove
ground group grow guard guide guild gum hall halo hammer harbor harmony harvest hat hello here
hero hive hold home honey hope horizon host hot house human hush image impact index indie infinite
ink inn insight instant interval island ivory ivy jam jazz jet job jobs join journey joy jump
junction just key keys kin kind king kit label lab lake lamp lane laser last launch layer lead
leaf ledger legend lens level liberty life light lime line link lion list listen live local lock
loft logic long loop lord loud love lucky lumen lunar lyric magic magnet main major manual map
mark market mass master match matrix matter max maze medal media medium melody memory message
meter metro mid mind mint mirage mirror mix mode model modern moment monday monster moon motion
motive motor mountain move movement music muse mute myth name nature near nest net network new
news next night nine noise north note notes nothing nova now oak object ocean octave offer on one
open opera opus orange orb orbit orchard order organ origin other out owl pace pacer page paint
palace palette panda panel paper parade paradigm park partner party pass path pattern peak pearl
pen people performance photo piano pink pioneer pitch pixel place plan planet platform play player
plus point polar polygon pop port post power present press primary prime print prism pro prodigy
project promise proof pulse pure push puzzle quantum quarter queen quest question rabbit radar
radio rain rainbow range rave raven ray reach reactor real rebel record records red reef reel
refuge relay relic relief remix rescue reservoir resident reverb rewind rhythm rich ring rise
rising river road roar robin rock rocket roof room root rose round route royal ruby rule run rush
sage sail sample sand savage save scale scene scope score scout screen script sea search second
secret see seed select sense seven shade shadow shape share shed shine ship shock shop shore shot
show side sight sign signal silence silk silver single site six sky slate sleep slice smart smile
smoke snap snow social solid solo song songs sonic soul sound source south space spark spectrum
speed sphere spin spirit split spot spring square stack stage stages stand standard star start
state station status stay steady steam steel stem step stone store storm story strange stream
street strike string strong studio style sugar suite summer summit sun sunday super supreme
surface surge surf swan sweet swift switch symbol sync system table tag tank tape target tea team
tempo tent term test the theory thing third threads thrive thunder ticket tickets tide tiger tile
time tips titan today tone tool top torch total touch tour tower town track tracks trade trap
travel treble tree trend triangle tribe true trunk trust truth tune tunnel turn twin two type
ultra umbrella uncle under union unique unison unity up urban us valley value vapor vault venture
verse version vessel vibe victory video view village vine vinyl virtue vision vista visual vital
voice void volt volume voyage wall warp water wave waves way we web weekly well west whale wheel
whisper white wild will wind window wing wings winter wire wise wish witness wolf wonder wood word
words work works world yard year yellow yes young zero zone
"""

COMMON = frozenset(_WORDS.split())
