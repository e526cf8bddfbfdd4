/* The commands and options there are; see options.h. Defaults are written here, as the user would
 * write them, and nowhere else. */
#include "cli/options.h"

#define AT(field) offsetof(ccu_arguments, field)

#define CLASSES  "Classes"
#define SEARCH   "Search"
#define LEARNING "Learning"
#define RESULTS  "Results"
#define MODEL    "Model"
#define PICTURES "Pictures"
#define SPEED    "Speed"
#define OTHER    "Other"

static const char *const formats[]      = { "table", "jsonl", "csv", NULL };
static const char *const eval_formats[] = { "table", "json", NULL };
static const char *const info_formats[] = { "table", "jsonl", "json", NULL };
static const char *const precisions[]   = { "f32", "bf16", "f16", "auto", "int8", NULL };
static const char *const dtypes[]       = { "f32", "f16", NULL };
static const char *const crops[]        = { "floor", "half-even", NULL };
static const char *const positions[]    = { "end", "middle", "front", NULL };
static const char *const tokenizers[]   = { "openai", "hf", NULL };
/* Beside files; completion offers them. */
static const char *const template_sets[] = { "single", "openai7", "openai80", NULL };

const ccu_command ccu_commands[] = {
    { "classify", CCU_CLASSIFY, "say which of your words fit each picture best",
      "clipcu classify (--classes A,B,.. | --labels FILE | --bank FILE |\n"
      "                        --prompt FILE) [OPTIONS] INPUT...\n",
      "INPUT is a picture, a folder (with all folders in it), a .tar archive, plain or\n"
      "compressed, a .txt list of paths, or - for paths on standard input; or a pattern\n"
      "of such names: 'train-{000..127}.tar', '*.jpg'. Results keep the order of the\n"
      "inputs. A picture that cannot be read is one result with an error, and the run\n"
      "goes on.\n",
      "  clipcu classify photo.jpg --classes \"cat,dog,boat\"\n"
      "  clipcu classify photos/ --labels labels.txt --top 1\n"
      "  clipcu classify photos/ --labels labels.txt --templates openai80 \\\n"
      "                  --format jsonl -o results.jsonl\n"
      "  find . -name '*.jpg' | clipcu classify - --bank birds.safetensors\n" },
    { "embed", CCU_EMBED, "turn pictures or lines of text into vectors",
      "clipcu embed [OPTIONS] [-o PREFIX] INPUT...\n"
      "       clipcu embed [OPTIONS] [-o PREFIX] --text FILE\n",
      "With -o, writes PREFIX.npy (one row of length 1 per input) and\n"
      "PREFIX.jsonl (one line per input: its path or text, its row, and the error if it\n"
      "has one; the row is then all NaN). Without -o, prints one JSON line per input\n"
      "with the vector in it. INPUT is what clipcu classify takes: a picture, a folder,\n"
      "a .tar archive, a .txt list of paths, or - for paths on standard input; or a\n"
      "pattern of such names. Captions (NAME.txt) and descriptions (NAME.json) beside\n"
      "NAME.jpg in an archive go into its line as \"text\" and \"json\".\n",
      "  clipcu embed photos/ -o vectors\n"
      "  clipcu embed 'laion-{00000..00127}.tar' --task $SLURM_ARRAY_TASK_ID/8 -o part\n"
      "  clipcu embed --text captions.txt -o captions\n"
      "  clipcu embed photo.jpg\n" },
    { "bank", CCU_BANK, "encode class names once, for many runs of classify",
      "clipcu bank (--classes A,B,.. | --labels FILE) [OPTIONS] -o FILE\n",
      "A bank belongs to the model it was made with.\n",
      "  clipcu bank --labels birds.txt --templates openai80 -o birds.safetensors\n"
      "  clipcu classify photos/ --bank birds.safetensors\n" },
    { "info", CCU_INFO, "show a model and what it takes, or a bank, or a learned prompt",
      "clipcu info [OPTIONS]\n", "",
      "  clipcu info --model ~/models/clip-vit-base-patch32\n"
      "  clipcu info --bank birds.safetensors\n"
      "  clipcu info --prompt pets.safetensors --model clip-b32\n" },
    { "search", CCU_SEARCH, "find the pictures or texts nearest to a text or a picture",
      "clipcu search VECTORS (--query TEXT | --queries FILE | --image PICTURE)\n"
      "                     [OPTIONS]\n",
      "VECTORS is what clipcu embed -o wrote, a class bank, or any matrix in a .npy or\n"
      ".safetensors file: a PREFIX or the file itself. Every row is compared by cosine;\n"
      "rows that hold a NaN or only zeros are never found. The file is mapped: millions\n"
      "of rows cost no memory. The model has to be the one that made them.\n",
      "  clipcu embed photos/ -o photos\n"
      "  clipcu search photos --query \"a dog on a beach\"\n"
      "  clipcu search photos --image dog.jpg --top 3\n"
      "  clipcu search photos --queries queries.txt --format jsonl -o hits.jsonl\n"
      "  clipcu search birds.safetensors --image bird.jpg\n" },
    { "eval", CCU_EVAL, "measure how often the best match is right",
      "clipcu eval [OPTIONS] DATA...\n",
      "DATA is a folder with a folder for each class, or a list: PATH<TAB>LABEL lines,\n"
      "in a .csv PATH,LABEL; - for such lines on standard input; or a split file of\n"
      "CoOp, NAME.json, of which eval takes the part \"test\" and learn \"train\". A folder\n"
      "or label is the class of that name, underscores being spaces. Without --classes,\n"
      "--labels or --bank the classes are those of the data, ordered by name, those of\n"
      "a split file by label. A picture that cannot be read is reported and not\n"
      "counted.\n",
      "  clipcu eval pets/\n"
      "  clipcu eval imagenet/val --labels wnid_names.txt --templates openai80\n"
      "  clipcu eval test.csv --labels birds.txt --base-new --format json -o birds.json\n"
      "  clipcu eval pets/ --html pets.html\n" },
    { "learn", CCU_LEARN, "learn a prompt from a few pictures of each class",
      "clipcu learn (coop | cocoop) [OPTIONS] -o FILE DATA...\n",
      "DATA is what clipcu eval takes: a folder with a folder for each class, a list,\n"
      "or a split file, of which the part \"train\" is taken. coop learns context vectors\n"
      "in the place of \"a photo of a\", cocoop also a network that moves them with each\n"
      "picture. Both towers stay as they are. After every epoch FILE.checkpoint is\n"
      "written; --resume goes on from it, with the same bits.\n",
      "  clipcu learn coop pets/ --shots 16 -o pets.safetensors\n"
      "  clipcu learn coop pets/ --shots 4 --init \"a photo of a\" -o pets.safetensors\n"
      "  clipcu learn cocoop pets/ --init \"a photo of a\" --base-new -o p.safetensors\n"
      "  clipcu eval pets-test/ --prompt p.safetensors --base-new\n" },
    { "bench", 0, NULL, NULL, NULL, NULL },
};
const size_t ccu_commands_count = sizeof ccu_commands / sizeof ccu_commands[0];

const ccu_option ccu_option_table[] = {
    { "classes", 0, CCU_OPTION_TEXT, "A,B,..", AT(classes), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_BANK | CCU_EVAL | CCU_LEARN, CLASSES,
      "class names, parted by commas; a name that holds a comma needs --labels" },
    { "labels", 0, CCU_OPTION_TEXT, "FILE", AT(labels), 0, 0, NULL, NULL, CCU_CLASSIFY | CCU_BANK,
      CLASSES, "class names, one per line" },
    { "labels", 0, CCU_OPTION_TEXT, "FILE", AT(labels), 0, 0, NULL, NULL,
      CCU_EVAL | CCU_LEARN, CLASSES,
      "class names, one per line; where folders are called otherwise, FOLDER<TAB>NAME" },
    { "bank", 0, CCU_OPTION_TEXT, "FILE", AT(bank), 0, 0, NULL, NULL, CCU_CLASSIFY | CCU_EVAL,
      CLASSES, "class names already encoded, made by clipcu bank" },
    { "bank", 0, CCU_OPTION_TEXT, "FILE", AT(bank), 0, 0, NULL, NULL, CCU_INFO, "What to show",
      "this bank instead of a model; with --model also whether the two belong together" },
    { "prompt", 0, CCU_OPTION_TEXT, "FILE", AT(prompt), 0, 0, NULL, NULL, CCU_INFO, "What to show",
      "this learned prompt instead of a model; with --model also the words nearest to its "
      "vectors" },
    { "templates", 0, CCU_OPTION_TEXT, "FILE", AT(templates), 0, 0, template_sets, "single",
      CCU_CLASSIFY | CCU_BANK | CCU_EVAL, CLASSES,
      "sentences that names are put into, one per line with {} for the name; or built in: "
      "single (\"a photo of a {}.\"), openai7, openai80. Many make the start slower" },
    { "top", 'k', CCU_OPTION_NUMBER, "K", AT(top), 1, 1024, NULL, "5", CCU_CLASSIFY, CLASSES,
      "classes to report per picture, at most as many as there are" },
    { "base-new", 0, CCU_OPTION_FLAG, NULL, AT(base_new), 0, 0, NULL, NULL, CCU_EVAL, CLASSES,
      "part the classes in two: the first half, rounded up, is base, the rest new. Pictures are "
      "compared with the classes of their own half; the harmonic mean of both is shown" },
    { "base-new", 0, CCU_OPTION_FLAG, NULL, AT(base_new), 0, 0, NULL, NULL, CCU_LEARN, CLASSES,
      "learn from the first half of the classes, rounded up, as eval --base-new parts them" },
    { "prompt", 0, CCU_OPTION_TEXT, "FILE", AT(prompt), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_BANK | CCU_EVAL, CLASSES,
      "put names into a prompt made by clipcu learn instead of templates; where no names are "
      "given, those that it was learned with" },
    { "root", 0, CCU_OPTION_TEXT, "DIR", AT(root), 0, 0, NULL, NULL, CCU_EVAL | CCU_LEARN, CLASSES,
      "folder that the paths in a split file .json start at, if not the file's own" },

    { "shots", 0, CCU_OPTION_NUMBER, "K", AT(shots), 1, 1000000, NULL, "16", CCU_LEARN, LEARNING,
      "pictures of each class, drawn as CoOp draws them" },
    { "seed", 0, CCU_OPTION_NUMBER, "N", AT(seed), 0, INT64_MAX, NULL, "1", CCU_LEARN, LEARNING,
      "of the draw, of random start values, of the order and the views of pictures" },
    { "ctx", 0, CCU_OPTION_NUMBER, "M", AT(context_count), 1, 1024, NULL, "16", CCU_LEARN,
      LEARNING, "context vectors" },
    { "init", 0, CCU_OPTION_TEXT, "WORDS", AT(init), 0, 0, NULL, NULL, CCU_LEARN, LEARNING,
      "begin as these words, one vector each, instead of --ctx random ones" },
    { "position", 0, CCU_OPTION_CHOICE, "end|middle|front", AT(position), 0, 0, positions, "end",
      CCU_LEARN, LEARNING, "where the name stands: behind the vectors, among or before them" },
    { "class-specific", 0, CCU_OPTION_FLAG, NULL, AT(class_specific), 0, 0, NULL, NULL, CCU_LEARN,
      LEARNING, "vectors of its own for every class; coop only, not with --init" },
    { "epochs", 0, CCU_OPTION_NUMBER, "N", AT(epochs), 0, 100000, NULL, "0", CCU_LEARN, LEARNING,
      "0 is what was published: coop 50 for one shot, 100 for up to four, else 200; cocoop 10" },
    { "batch", 0, CCU_OPTION_NUMBER, "N", AT(batch), 0, 4096, NULL, "0", CCU_LEARN, LEARNING,
      "pictures of a step; 0 is what was published: coop 32, cocoop 1" },
    { "rate", 0, CCU_OPTION_TEXT, "R", AT(rate), 0, 0, NULL, "0.002", CCU_LEARN, LEARNING,
      "learning rate that the cosine begins with in the second epoch; the first has 1e-5" },
    { "fixed-views", 0, CCU_OPTION_NUMBER, "N", AT(fixed_views), 0, 10000, NULL, "0", CCU_LEARN,
      LEARNING,
      "encode N views of each picture once and take turns, instead of new ones in every epoch: "
      "faster, and not what was published" },
    { "memory", 0, CCU_OPTION_NUMBER, "MIB", AT(memory), 0, 1048576, NULL, "1024", CCU_LEARN,
      LEARNING,
      "activations that the text tower may keep; classes that do not fit go in parts, half as "
      "long again. 0 is no limit" },
    { "resume", 0, CCU_OPTION_FLAG, NULL, AT(resume), 0, 0, NULL, NULL, CCU_LEARN, LEARNING,
      "go on from FILE.checkpoint if it is there" },
    { "log", 0, CCU_OPTION_TEXT, "FILE", AT(log), 0, 0, NULL, NULL, CCU_LEARN, RESULTS,
      "write epoch, rate, loss and accuracy of every epoch, one JSON object per line" },

    { "query", 0, CCU_OPTION_TEXT, "TEXT", AT(query), 0, 0, NULL, NULL, CCU_SEARCH, SEARCH,
      "the text to search for" },
    { "queries", 0, CCU_OPTION_TEXT, "FILE", AT(queries), 0, 0, NULL, NULL, CCU_SEARCH, SEARCH,
      "texts to search for, one per line; - for standard input" },
    { "image", 0, CCU_OPTION_TEXT, "PICTURE", AT(image), 0, 0, NULL, NULL, CCU_SEARCH, SEARCH,
      "the picture to search for" },
    { "top", 'k', CCU_OPTION_NUMBER, "K", AT(top), 1, 1024, NULL, "10", CCU_SEARCH, SEARCH,
      "hits to report per query" },
    { "names", 0, CCU_OPTION_TEXT, "FILE", AT(names), 0, 0, NULL, NULL, CCU_SEARCH, SEARCH,
      "what the rows are called, one per line [default: the paths or texts in PREFIX.jsonl, a "
      "bank's classes, else row numbers]" },

    { "task", 0, CCU_OPTION_TASK, "I/N", AT(task), 0, 0, NULL, NULL, CCU_CLASSIFY | CCU_EMBED,
      "Input",
      "this is one of N runs that share the inputs, from 0 on: every N-th archive and every N-th "
      "other picture, from the I-th on" },
    { "text", 0, CCU_OPTION_TEXT, "FILE", AT(text), 0, 0, NULL, NULL, CCU_EMBED, "Input",
      "embed the lines of FILE instead of pictures; - for standard input" },

    { "format", 0, CCU_OPTION_CHOICE, "table|jsonl|csv", AT(format), 0, 0, formats, "table",
      CCU_CLASSIFY | CCU_SEARCH, RESULTS,
      "for people, one JSON object per line, or comma-separated" },
    { "format", 0, CCU_OPTION_CHOICE, "table|jsonl|json", AT(format), 0, 0, info_formats, "table",
      CCU_INFO, RESULTS, "for people, or one JSON object" },
    { "format", 0, CCU_OPTION_CHOICE, "table|json", AT(format), 0, 0, eval_formats, "table",
      CCU_EVAL, RESULTS, "for people, or one JSON object with every class and confusion" },
    { "output", 'o', CCU_OPTION_TEXT, "FILE", AT(output), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_SEARCH | CCU_EVAL, RESULTS,
      "write results there instead of standard output. The file appears when it is complete; "
      "until then it is FILE.part" },
    { "output", 'o', CCU_OPTION_TEXT, "PREFIX", AT(output), 0, 0, NULL, NULL, CCU_EMBED, RESULTS,
      "write PREFIX.npy and PREFIX.jsonl. They appear when they are complete; until then they end "
      "in .part" },
    { "output", 'o', CCU_OPTION_TEXT, "FILE", AT(output), 0, 0, NULL, NULL, CCU_BANK, RESULTS,
      "the bank to write" },
    { "output", 'o', CCU_OPTION_TEXT, "FILE", AT(output), 0, 0, NULL, NULL, CCU_LEARN, RESULTS,
      "the prompt to write" },
    { "scores", 0, CCU_OPTION_TEXT, "FILE", AT(scores), 0, 0, NULL, NULL, CCU_CLASSIFY, RESULTS,
      "also write the cosine of every class: a .npy with a row per picture, NaN where one cannot "
      "be read" },
    { "dtype", 0, CCU_OPTION_CHOICE, "f32|f16", AT(dtype), 0, 0, dtypes, "f32", CCU_EMBED, RESULTS,
      "numbers in PREFIX.npy; f16 takes half the room, rounded" },
    { "dtype", 0, CCU_OPTION_CHOICE, "f32|f16", AT(dtype), 0, 0, dtypes, "f32", CCU_CLASSIFY,
      RESULTS, "numbers in the file of --scores; f16 takes half the room, rounded" },
    { "resume", 0, CCU_OPTION_FLAG, NULL, AT(resume), 0, 0, NULL, NULL, CCU_CLASSIFY | CCU_EMBED,
      RESULTS,
      "go on behind what is in the .part, as if the run had never been interrupted; nothing to do "
      "if the results are complete. Inputs and options have to be the same" },
    { "html", 0, CCU_OPTION_TEXT, "FILE", AT(html), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_SEARCH | CCU_EVAL, RESULTS,
      "also write a page of the results, with a thumbnail of each picture: one file, no network" },
    { "html-max", 0, CCU_OPTION_NUMBER, "N", AT(html_max), 0, 1000000, NULL, "2000",
      CCU_CLASSIFY | CCU_SEARCH | CCU_EVAL, RESULTS,
      "pictures that the page shows, about 7 KB each; further ones are only counted" },

    { "explain", 0, CCU_OPTION_FLAG, NULL, AT(explain), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_EMBED | CCU_EVAL, RESULTS,
      "say at the end what each stage (source, read, decode, encode, sink) did with its time, and "
      "which of them sets the pace" },
    { "stats", 0, CCU_OPTION_TEXT, "FILE", AT(stats), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_EMBED | CCU_EVAL, RESULTS, "write that as one JSON object" },

    { "model", 0, CCU_OPTION_TEXT, "DIR", AT(model), 0, 0, NULL, NULL, CCU_ALL, MODEL,
      "a model as Hugging Face or open_clip lay it out [default: $CLIPCU_MODEL, else the demo "
      "model that comes with clipcu]" },
    { "device", 0, CCU_OPTION_DEVICE, "auto|cpu|cuda|cuda:N", AT(device), 0, 0, NULL, "auto",
      CCU_ALL, MODEL, "what to run on; auto takes a CUDA device where one can be used" },
    { "precision", 0, CCU_OPTION_CHOICE, "f32|bf16|f16|auto|int8", AT(precision), 0, 0,
      precisions, "auto", CCU_ALL, MODEL,
      "number format of weights and activations; auto is bf16 on a CUDA device and f32 on the CPU, "
      "f16 is for CUDA devices, int8 (products of the transformer blocks) for the CPU" },
    { "tokenizer", 0, CCU_OPTION_CHOICE, "openai|hf", AT(tokenizer), 0, 0, tokenizers, "openai",
      CCU_ALL, MODEL, "whose reading of odd text to follow: OpenAI's and open_clip's, or Hugging "
                      "Face's" },
    { "truncate", 0, CCU_OPTION_FLAG, NULL, AT(truncate), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_EMBED | CCU_BANK | CCU_SEARCH | CCU_EVAL, MODEL,
      "cut texts that are too long for the model [default: refuse them]" },

    { "crop", 0, CCU_OPTION_CHOICE, "floor|half-even", AT(crop), 0, 0, crops, "floor",
      CCU_CLASSIFY | CCU_EMBED | CCU_SEARCH | CCU_EVAL, PICTURES,
      "where a centre crop starts when the difference is odd: as Hugging Face does, or as "
      "torchvision and open_clip do" },
    { "exif", 0, CCU_OPTION_FLAG, NULL, AT(exif), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_EMBED | CCU_SEARCH | CCU_EVAL | CCU_LEARN, PICTURES,
      "turn pictures upright by their EXIF tag [default: as stored, as CLIP does]" },
    { "draft", 0, CCU_OPTION_FLAG, NULL, AT(draft), 0, 0, NULL, NULL,
      CCU_CLASSIFY | CCU_EMBED | CCU_SEARCH | CCU_EVAL, PICTURES,
      "decode large JPEGs at 1/2, 1/4 or 1/8 of their size where that leaves twice what the model "
      "takes: faster, not exact" },
    { "max-pixels", 0, CCU_OPTION_NUMBER, "N", AT(pixels_max), 1, INT32_MAX, NULL, "178956970",
      CCU_CLASSIFY | CCU_EMBED | CCU_SEARCH | CCU_EVAL | CCU_LEARN, PICTURES,
      "refuse pictures with more pixels" },

    { "batch", 0, CCU_OPTION_NUMBER, "N", AT(batch), 0, 4096, NULL, "0",
      CCU_CLASSIFY | CCU_EMBED | CCU_BANK | CCU_INFO | CCU_SEARCH | CCU_EVAL, SPEED,
      "pictures that go through the model at once; 0 takes 32 on the CPU and what fits on a CUDA "
      "device" },
    { "threads", 0, CCU_OPTION_NUMBER, "N", AT(threads), 0, 1024, NULL, "0", CCU_ALL, SPEED,
      "CPU threads; 0 is one per core" },

    { "quiet", 'q', CCU_OPTION_FLAG, NULL, AT(quiet), 0, 0, NULL, NULL, CCU_ALL, OTHER,
      "print no progress, warnings or summary; failures still are" },
    { "help", 'h', CCU_OPTION_FLAG, NULL, AT(help), 0, 0, NULL, NULL, CCU_ALL, OTHER,
      "show this page" },
};
const size_t ccu_option_count = sizeof ccu_option_table / sizeof ccu_option_table[0];
