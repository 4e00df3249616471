"""The words generated passcodes are made of: short, common, easy to say and to spell.

Any four of them, drawn independently, are at least 40 bits, since there are more than 1024. That is plenty
for a passcode: the link's key is needed to try even one, and the server counts the tries.
"""

from collections.abc import Callable

WORDS = tuple(
    """
acorn actor adult agent alarm album alley almond alpine amber anchor angle animal ankle answer
anthem apple april apron arena armor arrow artist aspen atlas attic august aunt autumn avocado award
axis bacon badge badger bagel baker ball bamboo banana banjo barley barn barrel basil basket bath
bazaar beach beacon beaver bedroom bell belt bench berry bicycle bingo bird biscuit bishop bison
blanket blazer blossom blue board boat bobcat body bonsai bonus book boot border bottle boulder bowl
box bracket brain bramble branch brass bread breeze brick bridge broom brother brown brush bubble
bucket budget buffalo bugle builder bundle bunny burger butter button cabbage cabin cable cactus
cake calf camel camera camp canal candle candy cannon canoe canvas canyon captain caramel caravan
carbon cargo carpet carrot cart cashew castle cat cattle cave cedar celery cello cement center
cereal chain chair chalk chapel chapter charm cheese cherry chess chest chicken chief child chimney
chip choir church cider cinema circle circus citizen city clam clay clerk cliff clinic clock cloud
clover clown club coach coast cobra cobweb cocoa coconut cocoon coffee coin collar comet comic
compass copper coral corn corner cotton couch cousin cow cowboy coyote crab cradle crane crater
crayon cream creek cricket crown crystal cube cup curtain cushion custom cycle daisy dance dawn deck
delta denim dentist desert desk dessert diamond diary dice diesel dingo dinner doctor dog doll
dollar dolphin domino donkey door dragon drawer dream dress drill drum duchess duck dune dust eagle
earth easel echo editor effort eight elbow elder eleven elk ember empire engine enigma envoy equal
escape essay estate evening event exit expert fabric factory falafel falcon family famous farm
farmer father feast feather fence fern ferret ferry fiber fiddle field fiesta fifty film finger fire
fish flag flame flavor fleet flute foam focus fog folder forest fork fossil fox frame freezer friday
friend frog frost fruit funnel gadget galaxy gallery game garage garden garlic garnet gate gazelle
gecko gem general genius ghost giant ginger giraffe glacier glass glove goat goblet goblin gold golf
gondola goose gorilla gospel grain granite grape graph grass gravel gravy green grill grocer guard
guest guitar gulf gull guppy habit hamlet hammer hamster hand handle harbor harp harvest hat hawk
hazel heart hedge helium helmet herb hero heron hickory hiker hill hippo history hobby hockey
holiday honey hood horizon horn hornet hotel house hub human hunter hurdle husky hut iceberg icon
idea igloo iguana image impala inch index infant ink insect iris iron island item ivory jackal
jacket jaguar january jar jasmine jazz jeans jelly jewel jigsaw joker journal judge juice july jumbo
jungle junior jury karate kayak kebab kennel kernel kettle kidney king kiosk kitchen kite kitten
kiwi knife koala label lace ladder lady lagoon lake lamb lamp lantern laptop lasagna laser laurel
lava lawn lawyer leader leaf leather lemon lentil leopard lesson letter lettuce lever library lilac
lily lime linen lion liquid lizard llama lobster locket lodge logic lotus lumber lunch lynx machine
magic magnet magpie mammoth mango mantle maple marble margin market marmot mars mask mason master
meadow medal melody melon member memory menu mermaid metal meteor middle milk mill mineral minor
mint minute mirror mitten model modem moment monday money monkey moon moose morning mosaic moss
mother motor mouse mouth movie muffin museum music mustard napkin nation nature navy nebula neck
nectar needle nephew nest nickel night nine ninja noble noodle north nose nougat novel nugget number
nurse nutmeg nylon oak oasis oatmeal obelisk ocean october octopus office olive omega onion onyx
opal opera orange orbit orchard orchid organ origin ostrich otter outfit oval oven owl owner oxygen
oyster ozone packet paddle page palace palm pancake panda panel panther papaya paper paprika parade
parcel parent park parrot party pasta pastel patent path patrol pattern peach peacock peanut pearl
pebble pelican pencil penguin penny pepper petal phone photo piano piccolo pickle picnic pigeon
pillow pilot pine pink pioneer pipe pirate pitcher pizza planet plank plastic plate plaza plum
pocket poem poet polar police pond pony popcorn poppy porch portal potato potter powder prairie
pretzel prince printer prism prize profit pudding puffin pulse puma pumpkin pupil puppet puppy
purple puzzle python quail quarry quartz queen quest quilt quince quiver quota rabbit raccoon radar
radio radish raft rain raisin ramp ranch ranger raven razor rebel record reef remedy reptile rescue
result ribbon rice riddle rider ring ripple risotto river robin robot rocket rodeo roof room rooster
rope rose rotor royal rubber ruby rudder rugby ruler runner russet saddle saffron sailor salad
salmon salsa salt sample sand sandal satin saturn sauce sauna savanna scarf school science scooter
scout screen script scuba seal season second seed senator seven shadow shampoo shark sheep sheriff
shield ship shirt shoe shop shore shovel shrimp sibling sierra signal silk silver singer siren
sister six sketch ski skull sky sled sleet slipper sloth smile smoke snail snake snow soap soccer
soda sofa soldier solo sonnet sorbet soup south space spark sparrow spear sphere spice spider
spinach spiral spirit sponge spoon spring spruce squad square squash squid stable stadium stamp star
station statue steak steam steel stereo stone stool storm story stove street string studio sugar
suit sultan summer summit sunday sunset surf swallow swamp swan sweater swing symbol syrup system
table tablet tadpole tailor talent tango tank tapioca target tartan tavern taxi tea teacher team
teapot temple ten tennis tent tepee thistle throne thumb thunder ticket tiger timber tin toast today
toffee tomato tonic tooth topaz torch tornado totem toucan towel tower town toy tractor trade trail
train trapeze travel tree tribe trio trolley trophy trout truck trumpet tuba tugboat tulip tuna
tundra tunnel turban turkey turnip turtle tuxedo twelve twin ukulele uncle unicorn uniform union
unit upland urban urchin vacuum valley valve vanilla vase vault velvet vendor venus verb vessel vest
victory video village vine vinegar violet violin viper visitor vista vitamin vocal volcano volume
voter voyage vulture waffle wagon waiter wallet walnut walrus waltz warrior wasp water weasel weaver
wedding wedge west whale wheat wheel whisker whistle widget wigwam willow window wine wing winner
winter wizard wolf wombat wonder wood wool world worm wreath wrench writer yacht yard yarn year
yeast yellow yodel yoga yogurt young zebra zenith zephyr zero zigzag zinc zipper zodiac zone zoo
""".split()  # noqa: SIM905 - a thousand quoted words are no list to read
)


def passcode(choice: Callable[[tuple[str, ...]], str]) -> str:
    """Four words to be read out on the phone; `choice` picks one of a tuple, as `secrets.choice` does."""
    return "-".join(choice(WORDS) for _ in range(4))
